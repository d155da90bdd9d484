"""What was asked for on behalf of customers (GDPR art. 15, 17, 20), and what came of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

import msgspec

from ..access_log.store import Note
from ..clock import from_micros

Status: TypeAlias = Literal["pending", "unreadable", "complete"]
Disclosure: TypeAlias = Literal["access", "portability"]


class PrivacyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for on behalf of a customer, and what came of it; it does not tell of whom.

    `report` is a compact JWS over an erasure's verification. Times are microseconds since the epoch.
    """

    id: str
    kind: Disclosure | Literal["erasure"]
    status: Status
    requested_by: str
    received_at: int
    due_at: int
    dialogs: int
    messages: int
    report: str | None = None
    repeat_key: bytes | None = None

    @property
    def received(self) -> datetime:
        return from_micros(self.received_at)

    @property
    def due(self) -> datetime:
        return from_micros(self.due_at)


class RequestStore(Protocol):
    """The store's record of privacy requests."""

    async def add(self, request: PrivacyRequest, erased: Sequence[str] = (), note: Note | None = None) -> None:
        """Put a request on record, with the ids of the dialogs that were erased for it, and in the access log."""
        ...

    async def find(self, request_id: str) -> PrivacyRequest | None: ...

    async def erased_for(self, request_id: str) -> list[str]:
        """Return the ids of the dialogs that were erased for a request."""
        ...

    async def pending(self) -> list[PrivacyRequest]:
        """Return the requests that were not carried out to the end yet, the one that is due first at first."""
        ...

    async def ended(self) -> list[PrivacyRequest]:
        """Return the erasures that became complete with the end of their epoch, and were not settled as such yet."""
        ...

    async def settle(self, request_id: str, status: Status, report: str | None) -> None:
        """Put on record what has come of a request since."""
        ...

    async def repeated(self, repeat_key: bytes, since: int) -> PrivacyRequest | None:
        """Return the request that was received with this key, if that was since then (microseconds)."""
        ...
