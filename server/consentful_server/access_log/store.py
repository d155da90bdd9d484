"""Who saw, erased or changed what (GDPR art. 32, 33): a log that only grows, each entry chained to the one before."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from .chain import Head, Link


class Values(msgspec.Struct, frozen=True):
    """What the filters of an entry looked for, sealed. It is forgotten with the customer (pseudonym) that it names."""

    sealed: bytes
    customer: str | None


class Note(Protocol):
    """An entry on its way in, which finds its place inside the store's transaction."""

    @property
    def values(self) -> Values | None: ...

    def about(self, dialog: int) -> "Note":
        """Return the note about the dialog of this internal number."""
        ...

    def follow(self, head: Head, number: int) -> tuple[Link, Head]:
        """Return it as the next link, of this number, and the head that it makes."""
        ...


class Trace(msgspec.Struct, frozen=True):
    """What is looked for in the log: all of it must be true. Times are half-open."""

    who: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Logged(msgspec.Struct, frozen=True):
    """One entry as it is kept; `sealed` are its filters' values, unless they were erased."""

    link: Link
    sealed: bytes | None


class Seen(msgspec.Struct, frozen=True):
    """A dialog by its internal number: whose it is (pseudonym), or that it was erased. Microseconds."""

    number: int
    dialog_id: str
    customer: str | None
    erased_at: int | None


class AccessLogStore(Protocol):
    """The store's access log. What erases or changes something takes a note, and writes it in the same transaction."""

    async def add(self, note: Note) -> None:
        """Write an entry, durably."""
        ...

    async def head(self) -> Head:
        """Return the last link.

        Where it is not the last entry's, the number is: somebody wrote past the store.
        """
        ...

    async def links(self, after: int, limit: int) -> list[Logged]:
        """Return entries in their order, after that number."""
        ...

    async def newest(self, trace: Trace, before: int | None, limit: int) -> list[Logged]:
        """Return entries that fit, from the newest to the oldest, before that number."""
        ...

    async def numbers_of(self, customer: str | None, dialog_id: str | None) -> list[int]:
        """Return the internal numbers of the dialogs of a customer (pseudonym), or of one dialog, stored or erased."""
        ...

    async def seen(self, numbers: Sequence[int]) -> list[Seen]:
        """Return what is known of dialogs by their internal numbers, in their order."""
        ...

    async def forget(self, customer: str) -> None:
        """Erase the values of every filter that named the customer; the commitments to them stay, and tell nothing."""
        ...
