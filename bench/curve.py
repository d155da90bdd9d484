"""A curve: one figure at 1, 10 and 100 times the data or the load."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .figure import Figure, Measured, compare

TIMES = (1, 10, 100)
FLAT, LINEAR = (1.5, 1.1), (130, 100)
"""Floor and aim of the value at 100 times beside the value at once."""


@dataclass(frozen=True)
class Curve:
    """What was measured with so many of what is counted, and what it is expected to do: stay, or grow as they do."""

    title: str
    unit: str
    counted: str
    of: tuple[str, ...]
    values: tuple[float, ...]
    shape: Literal["flat", "linear"] = "flat"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def grown(figure: Figure, sizes: Sequence[Sequence[float]]) -> Measured:
    """Return the outcome at the largest size beside the smallest."""
    return compare(figure, sizes[-1], sizes[0])
