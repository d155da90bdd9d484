"""The alert rules of `deploy/prometheus`, and what a test asks about them: what they name, and when they fire."""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from needs import need

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy" / "prometheus" / "consentful.rules.yml"
_RANGE: Final = re.compile(r"\[(\d+)([smhd])\]")


@dataclass(frozen=True)
class Alert:
    """One rule of the file."""

    name: str
    expr: str
    wait: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def metrics(self) -> set[str]:
        """The metrics of the server that it looks at, as Prometheus names them."""
        return set(re.findall(r"\bconsentful_\w+", self.expr))

    @property
    def memory(self) -> int:
        """For how many minutes it may still look at what has gone: its longest range, or what Prometheus looks back."""
        return max([5, *(int(span) * _SECONDS[unit] // 60 for span, unit in _RANGE.findall(self.expr))])


def alerts() -> dict[str, Alert]:
    """Return the rules by name; each name stands once."""
    found = [
        Alert(rule["alert"], rule["expr"], rule.get("for", "0s"), rule["labels"], rule["annotations"])
        for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]
    assert len({alert.name for alert in found}) == len(found)
    return {alert.name: alert for alert in found}


_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def hastened() -> str:
    """Return the file of rules for a test that cannot wait: two minutes of a range are a second, and `for` is nothing.

    A range has 3 s at least, in which some scrapes are, and 10 s at most.
    """
    file = yaml.safe_load(RULES.read_text("utf-8"))
    for group in file["groups"]:
        for rule in group["rules"]:
            rule["expr"] = _RANGE.sub(_shortened, rule["expr"])
            rule["for"] = "0s"
    return yaml.safe_dump(file)


def _shortened(span: re.Match[str]) -> str:
    seconds = int(span[1]) * _SECONDS[span[2]]
    return f"[{min(10, max(3, seconds // 120))}s]"


Values = Sequence[float | None]
"""The samples of a series, one each minute; None where there is none."""


def hold(minutes: int, value: float | None) -> list[float | None]:
    """Return a value that stays."""
    return [value] * minutes


def grow(minutes: int, by: float = 0, since: float = 0) -> list[float]:
    """Return a counter that grows by so much each minute, and starts with `since`."""
    return [since + by * minute for minute in range(minutes)]


class Firing:
    """What promtool says of the rules: which alerts fire, with these series, after so many minutes."""

    def __init__(self, folder: Path, series: Mapping[str, Values]) -> None:
        self._folder = folder
        self._series = [{"series": name, "values": " ".join(map(_sample, values))} for name, values in series.items()]

    def expect(self, name: str, minutes: Mapping[int, Sequence[Mapping[str, str]]]) -> None:
        """Check that exactly these alerts of this name fire after so many minutes: each by its labels."""
        wanted = [
            {
                "expr": f'ALERTS{{alertname="{name}",alertstate="firing"}}',
                "eval_time": f"{minute}m",
                "exp_samples": [
                    {"labels": "ALERTS" + _labels({"alertname": name, "alertstate": "firing", **labels}), "value": 1}
                    for labels in firing
                ],
            }
            for minute, firing in minutes.items()
        ]
        self._run(wanted)

    def expect_silence(self, minutes: int, *, but: Sequence[str] = ()) -> None:
        """Check that no alert but these fired in any of so many minutes."""
        firing = f'ALERTS{{alertstate="firing",alertname!~"{"|".join(but)}"}}'
        expr = f"count by (alertname) (count_over_time({firing}[{minutes}m]))"
        self._run([{"expr": expr, "eval_time": f"{minutes}m"}])

    def _run(self, expected: list[dict[str, Any]]) -> None:
        path = self._folder / "cases.yml"
        cases = {"interval": "1m", "input_series": self._series, "promql_expr_test": expected}
        path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [cases]}))
        command = [need("promtool"), "test", "rules", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _sample(value: float | None) -> str:
    return "_" if value is None else format(value, "f") if abs(value) != float("inf") else "Inf"


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def selectors(expr: str) -> Iterator[str]:
    """Yield each selector of the server's metrics in an expression, with its labels."""
    yield from re.findall(r"\bconsentful_\w+(?:\{[^}]*\})?", expr)
