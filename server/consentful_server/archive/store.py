"""Dialogs as a store keeps them, sealed.

A store knows nothing of words: all it gets is sealed, but for what filters need.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, TypeVar

import msgspec

from ..consent.record import Record
from .query import Position

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
