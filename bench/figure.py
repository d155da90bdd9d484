"""A figure: what is measured, what must hold, what we are after; and what came of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Column, Table


@dataclass(frozen=True)
class Figure:
    """One line of the goals. `floor` and `aim` are of ours / peer; None where the goals name none."""

    name: str
    unit: str
    floor: float | None = None
    aim: float | None = None
    less_is_better: bool = False

    def holds(self, ratio: float) -> bool:
        if self.floor is None:
            return True
        return ratio <= self.floor if self.less_is_better else ratio >= self.floor


@dataclass(frozen=True)
class Measured:
    """A figure's outcome: the median of each round's ratio, the medians of both sides, and of what they cost.

    `cpus` are microseconds of processor time for each of what is counted; `others` is how many cores other processes
    used meanwhile: the higher, the less the figure counts.
    """

    figure: Figure
    ratio: float
    ours: float
    peer: float | None
    cpus: tuple[float, float] | None = None
    others: float | None = None

    @property
    def mark(self) -> str:
        if self.figure.floor is None:
            return ""
        return "ok" if self.figure.holds(self.ratio) else "misses floor"

    def as_json(self) -> dict[str, Any]:
        figure = self.figure
        return {
            "figure": figure.name,
            "unit": figure.unit,
            "ours": self.ours,
            "peer": self.peer,
            "ratio": self.ratio,
            "floor": figure.floor,
            "aim": figure.aim,
            "less_is_better": figure.less_is_better,
            "mark": self.mark,
            "cpu_us": self.cpus,
            "others": self.others,
        }


def compare(
    figure: Figure,
    ours: Sequence[float],
    peer: Sequence[float],
    *,
    cpus: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Measured:
    """Return the outcome of rounds that were measured in turn: what slows the machine down slows both of a round."""
    ratio = median(x / y for x, y in zip(ours, peer, strict=True))
    return Measured(figure, ratio, median(ours), median(peer), cpus and (median(cpus[0]), median(cpus[1])))


def absolute(figure: Figure, values: Sequence[float]) -> Measured:
    """Return the outcome of a figure that has no peer: its value stands for the ratio."""
    return Measured(figure, median(values), median(values), None)


COLUMNS = ("figure", "ours", "peer", "unit", "ratio", "floor", "aim", "mark", "CPU µs", "others")
_TO_THE_LEFT = {"figure", "unit", "mark"}


def cells(row: dict[str, Any]) -> list[str]:
    """Return what stands in each of the columns, for the JSON of one outcome."""
    sign = "≤" if row["less_is_better"] else "≥"
    limits = [f"{sign} {row[limit]:.3g}" if row[limit] is not None else "–" for limit in ("floor", "aim")]
    cpus = " / ".join(map(_short, row["cpu_us"] or ()))
    others = "" if row["others"] is None else f"{row['others']:.1f}"
    sides, unit = [row["ours"], row["peer"]], row["unit"]
    if unit == "s" and all(side is None or side < 1 for side in sides):
        sides, unit = [side and side * 1000 for side in sides], "ms"
    return [row["figure"], *map(_short, sides), unit, _short(row["ratio"]), *limits, row["mark"], cpus, others]


def show(rows: Iterable[Measured], console: Console) -> None:
    table = Table(Column(COLUMNS[0], no_wrap=True), title="Consentful beside its peers", title_justify="left")
    for heading in COLUMNS[1:]:
        table.add_column(heading, justify="left" if heading in _TO_THE_LEFT else "right", no_wrap=True)
    for row in rows:
        table.add_row(*cells(row.as_json()))
    console.print(table)


def markdown(rows: Iterable[dict[str, Any]]) -> str:
    """Return the same table in Markdown."""
    rule = ["---" if heading in _TO_THE_LEFT else "--:" for heading in COLUMNS]
    lines = [COLUMNS, rule, *map(cells, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _short(side: float | None) -> str:
    if side is None:
        return "–"
    return f"{side:,.3g}" if side < 1000 else f"{side:,.0f}"
