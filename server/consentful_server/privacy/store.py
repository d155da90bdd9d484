"""Privacy requests (GDPR art. 15, 17, 20) as a store keeps them, and what erased dialogs leave in it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, NamedTuple, Protocol, TypeAlias

import msgspec
from msgspec import Meta

from ..access_log.store import Note
from ..archive.store import Retraction, Tombstone
from ..clock import from_micros

Status: TypeAlias = Literal[
    "pending", "unreadable", "complete", "incomplete", "open", "answered", "refused", "withdrawn"
]
"""Of an erasure: `pending`, `unreadable`, `complete`. Of a disclosure: `incomplete`, `complete`. Of what was received
and is not carried out at once (`register`): `open`, `answered`, `refused`, `withdrawn`.
"""
Decision: TypeAlias = Literal["answer", "extend", "refuse", "withdraw"]
"""What an officer decides about an open request (`register`)."""
Extension: TypeAlias = Literal["complexity", "number"]
"""Why the time for an answer is extended: the request is complex, or there are many (GDPR art. 12(3))."""
Ground: TypeAlias = Literal["unfounded", "excessive", "identity"]
"""Why a request is refused: it is manifestly unfounded or excessive (GDPR art. 12(5)), or the person could not be
identified (art. 12(2), 12(6)).
"""
Reference: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$(?!\n)", description="the officer's own file number")
]
Disclosure: TypeAlias = Literal["access", "portability"]
Kind: TypeAlias = Literal["access", "portability", "erasure"]


class PrivacyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A privacy request and its outcome. It does not name the customer.

    `report` is a compact JWS (RFC 7515) over an erasure's verification. `purposes` are those of the credential that
    asked, which limit the dialogs; None: every dialog. `damaged` are the ids of dialogs that a disclosure had to leave
    out. Times are microseconds since the epoch.
    """

    id: str
    kind: Kind
    status: Status
    requested_by: str
    received_at: int
    due_at: int
    dialogs: int
    messages: int
    report: str | None = None
    repeat_key: bytes | None = None
    """The mark of the request in `repeats`, for 24 hours."""
    repeat_body: bytes | None = None
    purposes: tuple[str, ...] | None = None
    damaged: tuple[str, ...] = ()
    reference: Reference | None = None
    extended_for: Extension | None = None
    refused_for: Ground | None = None
    answers: str | None = None
    """The id of the open request that this one helps to answer."""

    @property
    def received(self) -> datetime:
        return from_micros(self.received_at)

    @property
    def due(self) -> datetime:
        return from_micros(self.due_at)


RequestOrder: TypeAlias = Literal["newest", "due"]


class RequestsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests a list shows; all conditions hold. `due_before` is in microseconds since the epoch.

    `newest`: by id, which is by time of receipt, newest first; `due`: the first due first.
    """

    status: Status | None = None
    kind: Kind | None = None
    due_before: int | None = None
    order: RequestOrder = "newest"


class RequestPlace(NamedTuple):
    """The place of a request in either order."""

    due_at: int
    id: str


class TrustedTime(Protocol):
    """The last time at which the server trusted its clock (`retention`). It is in no copy of the store."""

    async def last(self) -> int | None:
        """Return that time, in microseconds since the epoch; None in a new or restored store."""
        ...

    async def trust(self, at: int) -> None:
        """Record that the clock was trusted at this time."""
        ...


class RequestStore(Protocol):
    """The store's privacy requests."""

    async def add(self, request: PrivacyRequest, erased: Sequence[str] = (), note: Note | None = None) -> None:
        """Record a request, the ids of the dialogs that were erased for it, and the access-log entry."""
        ...

    async def find(self, request_id: str) -> PrivacyRequest | None: ...

    async def page(self, wanted: RequestsWanted, after: RequestPlace | None, limit: int) -> list[PrivacyRequest]:
        """Return up to `limit` requests after a place, in the order that is wanted, without their reports."""
        ...

    async def erased_for(self, request_id: str) -> list[str]:
        """Return the ids of the dialogs that were erased for a request."""
        ...

    async def pending(self) -> list[PrivacyRequest]:
        """Return the requests that are pending or open, the first due first."""
        ...

    async def ended(self) -> list[PrivacyRequest]:
        """Return the erasures whose epoch has ended, but whose report does not say so yet."""
        ...

    async def decide(self, request: PrivacyRequest, note: Note) -> bool:
        """Record what was decided about an open request, and the access-log entry; return False, and record nothing,
        if it is not open any more.
        """
        ...

    async def settle(self, request_id: str, status: Status, report: str | None) -> None:
        """Record a request's new status and report."""
        ...

    async def finish(
        self, request_id: str, status: Status, *, dialogs: int, messages: int, damaged: Sequence[str]
    ) -> None:
        """Record how a disclosure ended, and what was sent."""
        ...

    async def forget_repeats(self, before: int) -> None:
        """Erase what identifies requests that were received before this time (microseconds)."""
        ...

    async def repeated(self, repeat_key: bytes, since: int) -> PrivacyRequest | None:
        """Return the request with this key that was received last, if it was received at or after `since`
        (microseconds).
        """
        ...


class RemainsStore(Protocol):
    """What erased and retracted dialogs leave in the store, to be compared with the ledger."""

    async def unknown(self, dialog_ids: Sequence[str]) -> list[str]:
        """Return which of these dialogs are neither stored nor erased here."""
        ...

    async def add(self, tombstones: Sequence[Tombstone], retractions: Sequence[Retraction]) -> None:
        """Insert those that the store does not know, except tombstones of dialogs that are stored.

        Each tombstone gets the next place in the feed of erasures.
        """
        ...

    async def move_on(self, place: int) -> None:
        """Continue the feed of erasures after this place, unless it is past it already."""
        ...

    async def retractions(self) -> list[Retraction]:
        """Return every retraction, the earliest first."""
        ...

    async def ledgers(self) -> dict[str, int]:
        """Return how long each ledger was at least, in bytes by its name. A restored store knows of none.

        Each transaction that adds entries records it.
        """
        ...

    async def set_ledgers(self, lengths: Mapping[str, int]) -> None:
        """Record these lengths instead of all others."""
        ...
