"""The store: what is kept of a consented dialog, and the promises that every store makes.

A store knows nothing of words: all it gets is sealed, but for what filters need. Its promises:

- `keep` returns after one durable transaction, or raises and has left no trace. Lookup, comparison and insert are one
  transaction, so a concurrent duplicate waits for the first. One bad dialog never fails its neighbours.
- `erase` returns after the dialog's key is overwritten, durably, and its rows are gone.
- Readers hold no transaction between calls and never see part of a dialog.
- `order="stored"` is the order of commit: what a walk has passed, nothing is ever committed below.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, TypeVar

import msgspec

from ..access_log.store import AccessLog, Note
from ..auth.store import Credentials
from ..consent.record import Record
from ..consent.store import Notices
from ..exports.store import Exports
from ..keys.store import Epochs, Facts
from ..query import Position, Selection
from ..statistics.store import Counters
from .leases import Leases
from .requests import Requests

T = TypeVar("T")

Reason: TypeAlias = Literal["withdrawn", "declined", "retracted", "requested", "expired"]


class MessageHead(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What filters need of one message. `received_at` in microseconds since the epoch."""

    role: str
    language: str | None
    received_at: int


class SealedDialog(msgspec.Struct, frozen=True, kw_only=True):
    """One dialog as it is stored. Times are microseconds since the epoch.

    `wrapped` is the dialog's key under the master; `texts`, `customer` and `metadata` are sealed under the dialog's
    key and bound to the record. `content` is the keyed digest that a replay is compared with. In lists `receipt`,
    `withdrawal_hash` and `content` are empty.
    """

    record: Record
    language: str | None
    messages: int
    opened_at: int
    received_at: int
    """When the last message was received."""
    stored_at: int
    receipt: str
    withdrawal_hash: bytes
    content: bytes
    wrapped: bytes
    texts: bytes
    customer: bytes
    metadata: bytes | None
    heads: tuple[MessageHead, ...] = ()
    """One a message, in order; empty where a list of rows carries them instead."""
    number: int | None = None
    """The internal number; None before it is stored, and where a list of rows tells it."""

    def __repr__(self) -> str:
        return f"SealedDialog({self.record.dialog_id!r}, messages={self.messages})"


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
    """The internal number, under which its overwritten key still stands."""
    withdrawal_hash: bytes | None = None
    complete: bool = False
    """Whether no master is left that opens an earlier copy of its key."""


class Erasure(msgspec.Struct, frozen=True):
    """An erasure's outcome. Until it is `truncated`, earlier copies of the key's page may be in the write-ahead log."""

    tombstone: Tombstone
    truncated: bool


class Held(msgspec.Struct, frozen=True):
    """A stored dialog: its internal number, its id, and how many messages it has."""

    number: int
    dialog_id: str
    messages: int


class Verification(msgspec.Struct, frozen=True):
    """What a connection of its own saw of dialogs that were erased: keys not overwritten, rows not removed."""

    keys_left: int
    rows_left: int
    log_truncated: bool

    @property
    def is_clean(self) -> bool:
        return self.keys_left == self.rows_left == 0 and self.log_truncated


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

    def meet(self, stored: SealedDialog) -> SealedDialog:
        """Return what the store holds afterwards: `stored` itself, or the same dialog with narrower purposes.

        Raises:
            Conflict: If it is another dialog, or another customer's.
        """
        ...


MessagesOpener: TypeAlias = Callable[[Sequence[MessageRow], Mapping[int, SealedDialog]], T]
"""Makes something of rows and the dialogs they are of; a dialog that was erased meanwhile is absent."""

DialogsOpener: TypeAlias = Callable[[Sequence[tuple[int, SealedDialog]]], T]


class Store(Protocol):
    """Keeps sealed dialogs; see the promises above. Raises `StorageFailed` or `OutcomeUnknown` where it cannot.

    What it keeps beside them has a part of its own each.
    """

    @property
    def notices(self) -> Notices: ...

    @property
    def requests(self) -> Requests: ...

    @property
    def credentials(self) -> Credentials: ...

    @property
    def facts(self) -> Facts: ...

    @property
    def leases(self) -> Leases: ...

    @property
    def access_log(self) -> AccessLog: ...

    @property
    def exports(self) -> Exports: ...

    @property
    def epochs(self) -> Epochs: ...

    @property
    def counters(self) -> Counters: ...

    async def keep(self, candidate: Candidate) -> SealedDialog:
        """Store the dialog, once, and return what is stored.

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
    ) -> Erasure | None:
        """Erase the dialog, if it is this owner's and this customer's (pseudonym); None means whoever's.

        Returns the earlier outcome if it was erased before, and None if there is no such dialog. What is erased now is
        noted in the access log, in the same transaction, and what its filters knew of the customer is forgotten.
        """
        ...

    async def withdraw(self, withdrawal_hash: bytes, note: Note | None = None) -> Erasure | None:
        """Erase the dialog whose withdrawal code has this hash; the earlier outcome, or None, as `erase` does."""
        ...

    async def dialogs_of(self, customer: str) -> list[Held]:
        """Return every dialog of a customer (pseudonym), the oldest first."""
        ...

    async def still_held(self, dialog_ids: Sequence[str]) -> list[str]:
        """Return which of these dialogs are stored."""
        ...

    async def verify_erased(self, dialog_ids: Sequence[str]) -> Verification:
        """Return what is left of dialogs that were erased, read through a new connection that has cached nothing."""
        ...

    async def expired(self, at: int, limit: int) -> list[str]:
        """Return the ids of dialogs whose retention has ended by `at`, in microseconds; the longest past first."""
        ...

    async def retract(self, dialog_id: str, owner: str, customer: str, note: Note | None = None) -> None:
        """See to it that the dialog is not stored, now or later; another owner's or customer's is left alone."""
        ...

    async def find(self, dialog_id: str) -> SealedDialog | Tombstone | None:
        """Return the dialog with its heads, or what is left of it."""
        ...

    async def watermark(self) -> int:
        """Return the internal number of the dialog that was committed last, 0 if none was."""
        ...

    async def messages(self, selection: Selection, opener: MessagesOpener[T]) -> T:
        """Return what the opener makes of a page of messages, called off the event loop."""
        ...

    async def dialogs(self, selection: Selection, opener: DialogsOpener[T], *, heads: bool = False) -> T:
        """Return what the opener makes of a page of dialogs, with their heads if need be, off the event loop."""
        ...

    async def probe(self) -> None:
        """Return if a write succeeded at most 5 s ago, trying one if need be."""
        ...

    async def close(self) -> None:
        """Finish what is under way, and let go of everything."""
        ...
