"""Counters: how much is kept, and how dialogs ended. They change in the transactions that change what they count."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

Dimension: TypeAlias = Literal["day", "language", "bot", "role", "length"]


LENGTHS: Final = (1, 3, 6, 11, 21, 51)
"""Classes of lengths, each by the least number of messages that a dialog of it has."""


class Counted(msgspec.Struct, frozen=True):
    """Numbers of what has these values of the dimensions and exactly these purposes. A value of None means none."""

    values: tuple[str | int | None, ...]
    purposes: tuple[str, ...]
    dialogs: int
    messages: int


class Which(msgspec.Struct, frozen=True):
    """What is counted: days half-open, ISO 8601; a language range as in filters."""

    since: str | None = None
    until: str | None = None
    language: str | None = None
    bot: str | None = None


class Outcomes(msgspec.Struct, frozen=True):
    """How the dialogs of one day (UTC) and chatbot ended."""

    day: str
    bot: str | None
    granted: int
    declined: int
    dropped: int


class CounterStore(Protocol):
    """The store's counters."""

    async def dialogs(self, which: Which, by: Sequence[Dimension]) -> list[Counted]:
        """Count dialogs, by any dimension but the role."""
        ...

    async def messages(self, which: Which, by: Sequence[Dimension]) -> list[Counted]:
        """Count messages, in their own languages, by any dimension."""
        ...

    async def outcomes(self, which: Which) -> list[Outcomes]: ...

    async def add_outcomes(self, outcomes: Sequence[Outcomes]) -> None: ...


OUTCOMES: Final[Mapping[str, str]] = {"stored": "granted", "discarded": "declined"}
"""What the end of a dialog counts as; any other counts as dropped."""
