"""Dialogs as a store keeps them, and what every store promises about them.

A store handles no plaintext: everything is sealed except what filters need. A dialog has one of three types:

    SealedDialog    before it is stored, without a number and a time of storing
    StoredDialog    stored, complete
    ListedDialog    stored, with the fields that lists show

Promises. All methods except `keep`, `erase`, `withdraw`, `retract` and `narrow` only read.

- `keep` returns after one durable transaction, or raises and leaves no trace. Look-up, comparison and insert are one
  transaction, so a concurrent duplicate waits for the first. One refused dialog never fails others.
- `erase` returns when the dialog's key is overwritten, durably, and its rows are deleted.
- Readers hold no transaction between calls, and never see part of a dialog.
- Numbers ascend in commit order: everything committed after a horizon was made lies beyond it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeAlias, TypeVar

import msgspec

from ..access_log.store import Note
from ..annotations.store import SealedAnnotation
from ..auth.read_scope import EVERYTHING, ReadScope
from ..clock import from_micros
from ..consent.record import Record
from .query import Horizon, Position, Selection

T = TypeVar("T")

Reason: TypeAlias = Literal["withdrawn", "declined", "retracted", "requested", "expired"]
"""Why a dialog was erased."""


class MessageHead(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What filters need of one message. `received_at` is in microseconds since the epoch."""

    role: str
    language: str | None
    received_at: int


class _Dialog(msgspec.Struct, frozen=True, kw_only=True):
    """The seals of a dialog, and what filters need. Times are microseconds since the epoch.

    `wrapped` is the dialog's key under a master key. `texts`, `customer` and `metadata` are sealed under the dialog's
    key and bound to the record. `received_at` is the time of receipt of the last message.
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
    """A granted dialog before it is stored. `content` is the keyed digest that a replay is compared with."""

    receipt: str
    withdrawal_hash: bytes
    content: bytes
    heads: tuple[MessageHead, ...]
    """One for each message, in order."""


class ListedDialog(_Dialog, frozen=True, kw_only=True):
    """A stored dialog with the fields that lists show.

    `texts`, `heads` and `annotations` are empty in a list that shows none.
    """

    number: int
    """The internal number, never used again in this store."""
    stored_at: int
    heads: tuple[MessageHead, ...] = ()
    annotations: tuple[SealedAnnotation, ...] = ()

    @property
    def position(self) -> Position:
        """The dialog's position in a walk over dialogs."""
        return Position(self.received_at, self.number, messages=self.messages)


class StoredDialog(ListedDialog, frozen=True, kw_only=True):
    """A stored dialog, complete."""

    receipt: str
    withdrawal_hash: bytes
    content: bytes


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """The remains of an erased dialog (GDPR art. 7(1), 17(3)(e)): no text, no customer, no pseudonym."""

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
    """The internal number, under which the overwritten key remains."""
    withdrawal_hash: bytes | None = None
    complete: bool = False
    """Whether no master key exists that could open an earlier copy of its key."""

    @property
    def moment(self) -> datetime:
        """When it was erased."""
        return from_micros(self.erased_at)


class Retraction(msgspec.Struct, frozen=True, kw_only=True):
    """A "no" to a dialog that is not stored, after a "yes" that may still arrive: that grant fails, nobody else's does.

    `mark` is a keyed hash (`Pseudonyms.mark`) of the dialog's id, the credential and the customer; empty in rows of
    earlier releases, which did not record the customer. `retracted_at` is in microseconds since the epoch.
    """

    dialog_id: str
    owner: str
    mark: bytes
    retracted_at: int

    @property
    def moment(self) -> datetime:
        """When it was retracted."""
        return from_micros(self.retracted_at)


class ErasureOutcome(msgspec.Struct, frozen=True):
    """The outcome of an erasure. Unless `is_unreadable`, the store's own files may hold an earlier copy of the key."""

    tombstone: Tombstone
    is_unreadable: bool


class Residue(msgspec.Struct, frozen=True):
    """What the store's own files still hold of erased dialogs.

    `keys` counts keys that are not overwritten, `rows` rows that are not deleted. `earlier_copies` tells whether
    earlier copies of overwritten keys may exist, for example in a log that could not be truncated.
    """

    keys: int
    rows: int
    earlier_copies: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return self.keys == self.rows == 0 and not self.earlier_copies


class CustomerDialog(msgspec.Struct, frozen=True):
    """A customer's stored dialog: its internal number, its id, the number of its messages, its purposes, and when it
    was stored and expires (microseconds since the epoch).
    """

    number: int
    dialog_id: str
    messages: int
    purposes: tuple[str, ...]
    stored_at: int
    expires_at: int


class ExpiryDay(msgspec.Struct, frozen=True):
    """How many stored dialogs expire on a day (UTC, ISO 8601)."""

    day: str
    dialogs: int


class MessageRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One message of a page: internal number of its dialog, its seq, and its head."""

    dialog: int
    seq: int
    role: str
    language: str | None
    received_at: int

    @property
    def position(self) -> Position:
        """The row's position in a walk."""
        return Position(self.received_at, self.dialog, self.seq)


class Candidate(Protocol):
    """A dialog to be stored, which can tell whether a stored one is the same."""

    @property
    def sealed(self) -> SealedDialog:
        """The sealed dialog. Asking for it first seals it, which takes a while: do that outside of a transaction, on a
        thread that serves no clients.
        """
        ...

    @property
    def mark(self) -> bytes:
        """The mark of the retraction that would stop it."""
        ...

    def wrapped_since(self, epoch: int) -> bytes:
        """Return the dialog's key, wrapped in this epoch or a later one: an earlier epoch may be ending."""
        ...

    def reconcile(self, stored: StoredDialog) -> StoredDialog:
        """Return what the store holds afterwards: `stored` as it is, or the same dialog with narrower purposes.

        Raises:
            Conflict: If it is another dialog, customer or credential, or would widen the consent.
        """
        ...


Narrower: TypeAlias = Callable[[StoredDialog], StoredDialog | None]
"""Returns the dialog under a narrower consent; None if it is as narrow already."""

MessagesOpener: TypeAlias = Callable[[Sequence[MessageRow], Mapping[int, ListedDialog], bool], T]
"""Makes a result of rows, their dialogs by internal number, and whether more rows follow. A dialog that was erased
meanwhile is absent.
"""

DialogsOpener: TypeAlias = Callable[[Sequence[ListedDialog], bool], T]
"""Makes a result of listed dialogs, and whether more follow."""


class DialogStore(Protocol):
    """Stores sealed dialogs, with the promises above.

    Every method raises `StorageFailed` if nothing was done, and `OutcomeUnknown` if that cannot be told.
    """

    async def keep(self, candidate: Candidate) -> StoredDialog:
        """Store the dialog, once, and return what is stored (`rules.on_keep`).

        Raises:
            Conflict: If its id belongs to another dialog, customer or credential.
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
        scope: ReadScope = EVERYTHING,
        note: Note | None = None,
    ) -> ErasureOutcome | None:
        """Erase the dialog of this owner and customer (pseudonym), None meaning any (`rules.on_erase`), within a scope.

        Returns the earlier outcome if it was erased before, and None if there is no such dialog. The note is written to
        the access log, and the filter values that name the customer are erased, in the same transaction.
        """
        ...

    async def withdraw(self, withdrawal_hashes: Sequence[bytes], note: Note | None = None) -> ErasureOutcome | None:
        """Erase the dialog whose withdrawal code has one of these hashes; return as `erase` does."""
        ...

    async def of_withdrawal(self, withdrawal_hashes: Sequence[bytes]) -> StoredDialog | Tombstone | None:
        """Return the dialog whose withdrawal code has the first of these hashes that is known, as `find` does."""
        ...

    async def retract(self, dialog_id: str, owner: str, customer: str, mark: bytes, note: Note | None = None) -> None:
        """Keep the dialog of this owner and customer from being stored, now or later (`rules.on_retract`)."""
        ...

    async def narrow(self, dialog_id: str, narrower: Narrower, note: Note | None = None) -> bool:
        """Replace the stored dialog by what `narrower` makes of it, in one transaction; return whether it changed.

        If it did, the note is written to the access log in the same transaction. This and a narrowing by `keep` are in
        the ledger before they are committed.
        """
        ...

    async def find(self, dialog_id: str) -> StoredDialog | Tombstone | None:
        """Return the dialog with its heads, or its tombstone; None if the id was never used."""
        ...

    async def find_all(self, dialog_ids: Sequence[str]) -> dict[str, StoredDialog | Tombstone]:
        """Return by id what `find` returns for each of these ids, but for those that were never used.

        All that is stored was so at one moment. It comes with its texts, so ask for some dozens at a time.
        """
        ...

    async def of_customer(self, customer: str) -> list[CustomerDialog]:
        """Return all dialogs of a customer (pseudonym), oldest first."""
        ...

    async def still_stored(self, dialog_ids: Sequence[str]) -> list[str]:
        """Return which of these dialogs are stored."""
        ...

    async def residue(self, dialog_ids: Sequence[str]) -> Residue:
        """Remove what can be removed of erased dialogs, then return what is left, read through a new connection."""
        ...

    async def expired(self, at: int, limit: int) -> list[str]:
        """Return the ids of up to `limit` dialogs that expired by `at` (microseconds), the earliest first."""
        ...

    async def first_expiry(self) -> int | None:
        """Return when the first of the stored dialogs expires or expired (microseconds); None if none is stored."""
        ...

    async def expiring(self) -> list[ExpiryDay]:
        """Return how many stored dialogs expire on each day, the earliest first."""
        ...

    async def count_expired(self, at: int) -> int:
        """Return how many stored dialogs expired by `at` (microseconds)."""
        ...

    async def horizon(self) -> Horizon:
        """Return the horizon of a walk that begins now: everything that is committed."""
        ...

    async def list_messages(self, selection: Selection, opener: MessagesOpener[T]) -> tuple[T, Horizon]:
        """Return what the opener makes of a page of messages, whose rows may be fewer than the limit although more
        follow, and the horizon below which it was read: see `Selection`.

        The opener runs off the event loop, inside the read transaction.
        """
        ...

    async def list_dialogs(
        self, selection: Selection, opener: DialogsOpener[T], *, texts: bool = False, annotations: bool = False
    ) -> tuple[T, Horizon]:
        """Return what the opener makes of a page of dialogs; see `list_messages`. Without `texts`, their texts and
        heads are empty. With `annotations`, they come with those that have all terms of the filter.
        """
        ...
