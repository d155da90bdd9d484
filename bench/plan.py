"""How much is measured, and where: every benchmark is told so by one plan."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .curve import Curve

SERVER_CORE, CLIENT_CORE = (sorted(os.sched_getaffinity(0)) * 2)[:2]
"""The server and its client never share a core, if there are two."""


@dataclass
class Plan:
    """`scale` 1 is the size of the goals; `notes` collects what the table cannot tell, and `curves` what is drawn."""

    folder: Path
    rounds: int = 5
    scale: float = 1.0
    notes: list[str] = field(default_factory=list[str])
    curves: list[Curve] = field(default_factory=list[Curve])

    def size(self, whole: int, least: int = 1) -> int:
        return max(least, round(whole * self.scale))

    def seconds(self, whole: float) -> float:
        return max(0.1, whole * self.scale)

    def new_folder(self, name: str) -> Path:
        """Return a folder of its own on the file system that is measured."""
        number = sum(1 for _ in self.folder.iterdir())
        folder = self.folder / f"{number}-{name}"
        folder.mkdir()
        return folder

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def in_turn(rounds: int, sides: Sequence[Callable[[], float]], *, thrown_away: int = 1) -> list[list[float]]:
    """Return each side's values, measured A B A B …; the first turn is thrown away, because first times differ."""
    turns = [[side() for side in sides] for _ in range(rounds + thrown_away)][thrown_away:]
    return [list(values) for values in zip(*turns, strict=True)]
