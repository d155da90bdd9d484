"""Counters as a store keeps them. They change in the transaction that changes what they count.

Nothing in them outlives the dialogs that they count: a count of zero is deleted with its labels, and outcomes lose the
name of a chatbot with the last stored dialog that has it.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

Dimension: TypeAlias = Literal["day", "language", "bot", "role", "length"]


LENGTHS: Final = (1, 3, 6, 11, 21, 51)
"""Length classes of dialogs, each by the least number of messages in it."""


class Counted(msgspec.Struct, frozen=True):
    """Counts of what has these values and exactly these purposes. None as a value means that there is none."""

    values: tuple[str | int | None, ...]
    purposes: tuple[str, ...]
    dialogs: int
    messages: int


class Which(msgspec.Struct, frozen=True):
    """What to count: days are half-open, ISO 8601; the language is a range, as in filters."""

    since: str | None = None
    until: str | None = None
    language: str | None = None
    bot: str | None = None


class Outcomes(msgspec.Struct, frozen=True):
    """How the dialogs of one day (UTC) and one chatbot ended; `bot` is None if no stored dialog has its name."""

    day: str
    bot: str | None
    granted: int
    declined: int
    dropped: int


class NoticeOutcomes(msgspec.Struct, frozen=True):
    """How the dialogs ended that were shown a notice in one of its languages, since they are counted."""

    notice: str
    language: str
    granted: int
    declined: int
    dropped: int


class CounterStore(Protocol):
    """The store's counters."""

    async def dialogs(self, which: Which, by: Sequence[Dimension]) -> list[Counted]:
        """Count dialogs, by any dimension except role."""
        ...

    async def messages(self, which: Which, by: Sequence[Dimension]) -> list[Counted]:
        """Count messages by any dimension; the language is the message's."""
        ...

    async def outcomes(self, which: Which) -> list[Outcomes]: ...

    async def of_notices(self) -> list[NoticeOutcomes]: ...

    async def add_outcomes(self, outcomes: Sequence[Outcomes], of_notices: Sequence[NoticeOutcomes]) -> None:
        """Add outcomes; those of a chatbot that no stored dialog names are counted without its name."""
        ...


OUTCOMES: Final[Mapping[str, str]] = {"stored": "granted", "discarded": "declined"}
"""How a dialog's end is counted; all others count as dropped."""
