"""The access log as a store keeps it: who read, erased or changed what (GDPR art. 32, 33), append-only and chained."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from .chain import Action, Head, Kind, Link


class Values(msgspec.Struct, frozen=True):
    """The filter values of an entry, sealed. They are erased with the customer (pseudonym) whom they name, and with the
    epoch of their seal; None if they last.
    """

    sealed: bytes
    customer: str | None
    epoch: int | None = None


class Note(Protocol):
    """An entry that is not written yet; the store numbers and chains it inside its transaction."""

    @property
    def values(self) -> Values | None:
        """The sealed filter values; None if there are none to keep."""
        ...

    def about(self, dialog: int) -> "Note":
        """Return the note about the dialog with this internal number."""
        ...

    def follow(self, head: Head, number: int) -> tuple[Link, Head]:
        """Return the note as the next link, with this number, and the new head."""
        ...


class Trace(msgspec.Struct, frozen=True):
    """A search of the log; an entry must match all fields. Times are half-open."""

    who: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Logged(msgspec.Struct, frozen=True):
    """One entry as it is stored; `sealed` are its filter values, None if there are none any more."""

    link: Link
    sealed: bytes | None


class ShortEntry(msgspec.Struct, frozen=True):
    """What an entry tells of who was shown or changed which dialogs, without its request, filters and link: whoever
    walks the log reads these in a quarter of the time.
    """

    number: int
    at: int
    kind: Kind
    who: str
    action: Action
    subject: str | None
    dialogs: bytes | None


class Seen(msgspec.Struct, frozen=True):
    """A dialog by its internal number: its customer (pseudonym), or None and when it was erased (microseconds); and
    the purposes of its consent.
    """

    number: int
    dialog_id: str
    customer: str | None
    erased_at: int | None
    purposes: tuple[str, ...]


class ErasedNumber(msgspec.Struct, frozen=True):
    """An erased dialog: its place in the feed of erasures, and its internal number."""

    place: int
    number: int


class AccessLogStore(Protocol):
    """The store's access log. Methods of other parts that take a `note` write it in their own transaction.

    Values that name a customer of whom nothing is stored are not written: whoever looks for an erased customer leaves
    no trace of them. That is decided in the transaction that writes the entry, so no erasure can come in between.
    """

    async def add(self, note: Note) -> None:
        """Append an entry, durably."""
        ...

    async def head(self) -> Head:
        """Return the head of the chain.

        If somebody wrote to the log past the store, this is an unsealed head at the last entry (`chain.actual_head`).
        """
        ...

    async def links(self, after: int, limit: int) -> list[Logged]:
        """Return up to `limit` entries after this number, in ascending order."""
        ...

    async def newest(self, trace: Trace, before: int | None, limit: int) -> list[Logged]:
        """Return up to `limit` matching entries before this number, newest first."""
        ...

    async def short(self, trace: Trace, after: int, limit: int) -> list[ShortEntry]:
        """Return up to `limit` matching entries after this number, in ascending order."""
        ...

    async def numbers_of(self, customer: str | None, dialog_id: str | None) -> list[int]:
        """Return the internal numbers of a customer's (pseudonym) dialogs, or of one dialog, stored or erased."""
        ...

    async def seen(self, numbers: Sequence[int]) -> list[Seen]:
        """Return the stored and the erased dialogs with these internal numbers, in ascending order."""
        ...

    async def erase_values(self, customer: str) -> None:
        """Erase the filter values that name the customer (pseudonym); the commitments stay and reveal nothing."""
        ...

    async def searches(self, filters: Collection[str], after: int, limit: int) -> list[Logged]:
        """Return up to `limit` entries after this number that have one of these filters and values that end with an
        epoch, in ascending order.
        """
        ...

    async def of_subject(self, subject: str) -> list[Logged]:
        """Return the entries about a subject, oldest first."""
        ...

    async def erase_values_of(self, numbers: Sequence[int]) -> None:
        """Erase the filter values of the entries with these numbers."""
        ...

    async def erased_after(self, place: int, limit: int) -> list[ErasedNumber]:
        """Return up to `limit` erased dialogs after this place in the feed of erasures, in its order."""
        ...
