"""Dialogs as a store keeps them, and what every store promises of them.

A store knows nothing of words: all it gets is sealed, except for what filters need. A dialog is one of three things:

    SealedDialog    on its way in; nothing numbers or dates it yet
    StoredDialog    stored, with its number, its receipt, and all that proves what it is
    ListedDialog    stored, as far as a list shows it

Promises. Every method but `keep`, `erase`, `withdraw` and `retract` only reads.

- `keep` returns after one durable transaction, or raises and has left no trace. Look-up, comparison and insert are one
  transaction, so a concurrent duplicate waits for the first. One bad dialog never fails its neighbours.
- `erase` returns after the dialog's key was overwritten, durably, and its rows are gone.
- Readers hold no transaction between calls, and never see part of a dialog.
- Numbers ascend in the order of commit: whatever is committed after a horizon was made lies beyond it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeAlias, TypeVar

import msgspec

from ..access_log.store import Note
from ..clock import from_micros
from ..consent.record import Record
from .query import Horizon, Position, Selection

T = TypeVar("T")

Reason: TypeAlias = Literal["withdrawn", "declined", "retracted", "requested", "expired"]
"""Why a dialog was erased."""


class MessageHead(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What filters need of one message. `received_at` in microseconds since the epoch."""

    role: str
    language: str | None
    received_at: int


class _Dialog(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed of a dialog, beside what filters need. Times are microseconds since the epoch.

    `wrapped` is the dialog's key under the master; `texts`, `customer` and `metadata` are sealed under the dialog's
    key and bound to the record. `received_at` is when the last message was received.
    """

    record: Record
    language: str | None
    messages: int
    opened_at: int
    received_at: int
    wrapped: bytes
    texts: bytes
    customer: bytes
    metadata: bytes | None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.record.dialog_id!r}, messages={self.messages})"


class SealedDialog(_Dialog, frozen=True, kw_only=True):
    """A granted dialog on its way into a store. `content` is the keyed digest that a replay is compared with."""

    receipt: str
    withdrawal_hash: bytes
    content: bytes
    heads: tuple[MessageHead, ...]
    """One for each message, in order."""


class ListedDialog(_Dialog, frozen=True, kw_only=True):
    """A stored dialog, as far as lists show it. `heads` are there where the list was asked for with them."""

    number: int
    """The internal number, which no other dialog of this store ever gets."""
    stored_at: int
    heads: tuple[MessageHead, ...] = ()


class StoredDialog(ListedDialog, frozen=True, kw_only=True):
    """A stored dialog, whole."""

    receipt: str
    withdrawal_hash: bytes
    content: bytes


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of an erased dialog (GDPR art. 7(1), 17(3)(e)): no text, no customer, no pseudonym."""

    dialog_id: str
    owner: str
    reason: Reason
    erased_at: int
    messages: int = 0
    decided_at: int | None = None
    stored_at: int | None = None
    notice_sha256: str | None = None
    purposes: tuple[str, ...] = ()
    receipt_sha256: bytes | None = None
    number: int | None = None
    """The internal number, under which its overwritten key still stands; None if it was never stored."""
    withdrawal_hash: bytes | None = None
    complete: bool = False
    """Whether no master is left that opens an earlier copy of its key."""

    @property
    def moment(self) -> datetime:
        """When it was erased."""
        return from_micros(self.erased_at)


class ErasureOutcome(msgspec.Struct, frozen=True):
    """An erasure's outcome. Until it `is_unreadable`, an earlier copy of the key may be in the store's own files."""

    tombstone: Tombstone
    is_unreadable: bool


class Residue(msgspec.Struct, frozen=True):
    """What is left of erased dialogs in the store's own files: keys not overwritten, rows not removed, and whether
    earlier copies of what was overwritten may be there, as in a log that was not cut yet or in rows not reclaimed yet.
    """

    keys: int
    rows: int
    earlier_copies: bool

    @property
    def is_none(self) -> bool:
        return self.keys == self.rows == 0 and not self.earlier_copies


class CustomerDialog(msgspec.Struct, frozen=True):
    """A stored dialog of a customer's: its internal number, its id, and how many messages it has."""

    number: int
    dialog_id: str
    messages: int


class MessageRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One message of a page: which dialog (internal number), which number in it, and its head."""

    dialog: int
    seq: int
    role: str
    language: str | None
    received_at: int

    @property
    def position(self) -> Position:
        return Position(self.received_at, self.dialog, self.seq)


class Candidate(Protocol):
    """A dialog on its way in, which can tell whether one that is there already is the same."""

    @property
    def sealed(self) -> SealedDialog: ...

    def wrapped_since(self, epoch: int) -> bytes:
        """Return the dialog's key, wrapped in this epoch or a later one: an earlier one may be ending."""
        ...

    def reconcile(self, stored: StoredDialog) -> StoredDialog:
        """Return what the store holds afterwards: `stored` itself, or the same dialog with narrower purposes.

        Raises:
            Conflict: If it is another dialog, or another customer's.
        """
        ...


MessagesOpener: TypeAlias = Callable[[Sequence[MessageRow], Mapping[int, ListedDialog]], T]
"""Makes something of rows and of the dialogs that they belong to; one that was erased meanwhile is absent."""

DialogsOpener: TypeAlias = Callable[[Sequence[ListedDialog]], T]


class DialogStore(Protocol):
    """Keeps sealed dialogs; see the promises above.

    Every method raises `StorageFailed` where nothing was done, and `OutcomeUnknown` where nobody can tell.
    """

    async def keep(self, candidate: Candidate) -> StoredDialog:
        """Store the dialog, once, and return what is stored (`rules.on_keep`).

        Raises:
            Conflict: If its id holds another dialog, or another customer's.
            Erased: If its id was erased or retracted.
        """
        ...

    async def erase(
        self,
        dialog_id: str,
        reason: Reason,
        *,
        owner: str | None = None,
        customer: str | None = None,
        note: Note | None = None,
    ) -> ErasureOutcome | None:
        """Erase the dialog, if it is this owner's and this customer's (pseudonym); None means whoever's.

        Returns the earlier outcome if it was erased before, and None if there is no such dialog (`rules.on_erase`).
        What is erased now is noted in the access log, in the same transaction, and what the log's filters knew of the
        customer is forgotten.
        """
        ...

    async def withdraw(self, withdrawal_hash: bytes, note: Note | None = None) -> ErasureOutcome | None:
        """Erase the dialog whose withdrawal code has this hash; return as `erase` does."""
        ...

    async def retract(self, dialog_id: str, owner: str, customer: str, note: Note | None = None) -> None:
        """See to it that the dialog is not stored, now or later (`rules.on_retract`)."""
        ...

    async def find(self, dialog_id: str) -> StoredDialog | Tombstone | None:
        """Return the dialog with its heads, or what is left of it."""
        ...

    async def of_customer(self, customer: str) -> list[CustomerDialog]:
        """Return every dialog of a customer (pseudonym), the oldest first."""
        ...

    async def still_stored(self, dialog_ids: Sequence[str]) -> list[str]:
        """Return which of these dialogs are stored."""
        ...

    async def residue(self, dialog_ids: Sequence[str]) -> Residue:
        """Return what is left of dialogs that were erased, read through a new connection that has cached nothing.

        Whatever can still be cleared away is cleared away first.
        """
        ...

    async def expired(self, at: int, limit: int) -> list[str]:
        """Return the ids of dialogs whose retention ended by `at`, in microseconds; the longest past first."""
        ...

    async def count_expired(self, at: int) -> int:
        """Return how many dialogs' retention ended by `at`, in microseconds."""
        ...

    async def horizon(self) -> Horizon:
        """Return what a walk that begins now may see: all that is committed."""
        ...

    async def list_messages(self, selection: Selection, opener: MessagesOpener[T]) -> T:
        """Return what the opener makes of a page of messages. It is called off the event loop."""
        ...

    async def list_dialogs(self, selection: Selection, opener: DialogsOpener[T], *, heads: bool = False) -> T:
        """Return what the opener makes of a page of dialogs, with their heads if asked for, off the event loop."""
        ...
