"""A figure: what is measured, what must hold, what we are after; and what came of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Column, Table


@dataclass(frozen=True)
class Figure:
    """One line of the goals. `floor` and `aim` are of A / B; None where the goals name none."""

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
    """A figure's outcome: the median of each round's ratio, and the medians of both sides."""

    figure: Figure
    ratio: float
    a: float
    b: float | None

    @property
    def verdict(self) -> str:
        if self.figure.floor is None:
            return ""
        return "ok" if self.figure.holds(self.ratio) else "missed"

    def as_json(self) -> dict[str, Any]:
        figure = self.figure
        return {
            "figure": figure.name,
            "ratio": self.ratio,
            "floor": figure.floor,
            "aim": figure.aim,
            "a": self.a,
            "b": self.b,
            "unit": figure.unit,
            "holds": figure.holds(self.ratio),
        }


def compare(figure: Figure, a: list[float], b: list[float]) -> Measured:
    """Return the outcome of rounds that were measured in turn: what slows the machine down slows both of a round."""
    return Measured(figure, median(x / y for x, y in zip(a, b, strict=True)), median(a), median(b))


def absolute(figure: Figure, values: list[float]) -> Measured:
    """Return the outcome of a figure that has no peer: its value stands for the ratio."""
    return Measured(figure, median(values), median(values), None)


def show(rows: Iterable[Measured], console: Console) -> None:
    table = Table(Column("figure", no_wrap=True), title="Consentful, A / B", title_justify="left")
    for heading in ("ratio", "floor", "aim", "A", "B", "unit", ""):
        table.add_column(heading, justify="left" if heading in ("unit", "") else "right", no_wrap=True)
    for row in rows:
        figure = row.figure
        sign = "≤" if figure.less_is_better else "≥"
        limits = [f"{sign} {limit:g}" if limit is not None else "–" for limit in (figure.floor, figure.aim)]
        sides = [_short(side) for side in (row.a, row.b)]
        table.add_row(figure.name, f"{row.ratio:.3g}", *limits, *sides, figure.unit, row.verdict)
    console.print(table)


def _short(side: float | None) -> str:
    if side is None:
        return "–"
    return f"{side:,.3g}" if side < 1000 else f"{side:,.0f}"
