"""Requests that an officer has received and not carried out yet: the clock runs from their receipt (GDPR art. 12(3)).

              receive
                 │
                 ▼            extend, once and in time: art. 12(3)
               open ──┬──────────────────────────────────────────► open, due later
                      ├── answer ───► answered     other requests carry it out, and name it in `answers`
                      ├── refuse ───► refused      art. 12(5), or the person was not identified: art. 12(2), 12(6)
                      └── withdraw ─► withdrawn    by whoever made it

An open request names no customer: the officer's own reference leads to the letter. So what is in the register outlives
an erasure without telling of whom. A person with several ids has one open request, and each id is carried out by a
request of its own.

(R1) Two officers decide at the same time: the store records the first decision alone, and `decide` raises for the
     second.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from consentful.identifiers import uuid7

from ..access_log.chain import Actor
from ..access_log.log import AccessLog
from ..auth.read_scope import ReadScope
from ..clock import Clock, to_micros
from ..errors import BadRequest, NotFound, NotOpen
from .store import Decision, Extension, Ground, Kind, PrivacyRequest, RequestStore

EXTENDED_DAYS: Final = 56
"""Two further months (GDPR art. 12(3)) last this long at least, whichever months they are."""
LONGEST_EXTENSION: Final = 90
_OLDEST: Final = timedelta(days=366)
"""A request that was received earlier is a mistyped year."""


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What an officer decided, with the ground that the decision needs; `days` is how long a request is extended."""

    decision: Decision
    extended_for: Extension | None = None
    refused_for: Ground | None = None
    days: int = EXTENDED_DAYS


def on_decision(request: PrivacyRequest, decided: Ruling, now: int) -> PrivacyRequest:
    """Return the request after a decision at `now` (microseconds).

    Raises:
        NotOpen: If it is not open.
        BadRequest: If the decision lacks its ground or has another's, or an extension comes twice or too late.
    """
    if request.status != "open":
        raise NotOpen(request.status)
    _check_ground("extended_for", decided.extended_for, is_needed=decided.decision == "extend")
    _check_ground("refused_for", decided.refused_for, is_needed=decided.decision == "refuse")
    return _RULES[decided.decision](request, decided, now)


def _check_ground(name: str, ground: str | None, *, is_needed: bool) -> None:
    if is_needed and ground is None:
        raise BadRequest(name, "is required: the person must be told why")
    if not is_needed and ground is not None:
        raise BadRequest(name, "does not belong to this decision; leave it out")


def _extend(request: PrivacyRequest, decided: Ruling, now: int) -> PrivacyRequest:
    if request.extended_for is not None:
        raise BadRequest("decision", "the request was extended already; it can be extended once")
    if now >= request.due_at:
        raise BadRequest("decision", "the request is overdue; an extension must be told before that (GDPR art. 12(3))")
    due_at = request.due_at + timedelta(days=decided.days) // timedelta(microseconds=1)
    return msgspec.structs.replace(request, due_at=due_at, extended_for=decided.extended_for)


def _answer(request: PrivacyRequest, _decided: Ruling, _now: int) -> PrivacyRequest:
    return msgspec.structs.replace(request, status="answered")


def _refuse(request: PrivacyRequest, decided: Ruling, _now: int) -> PrivacyRequest:
    return msgspec.structs.replace(request, status="refused", refused_for=decided.refused_for)


def _withdraw(request: PrivacyRequest, _decided: Ruling, _now: int) -> PrivacyRequest:
    return msgspec.structs.replace(request, status="withdrawn")


_RULES: Final[Mapping[Decision, Callable[[PrivacyRequest, Ruling, int], PrivacyRequest]]] = {
    "answer": _answer,
    "extend": _extend,
    "refuse": _refuse,
    "withdraw": _withdraw,
}


class Register:
    """Records requests when they are received, and what is decided about them."""

    def __init__(self, store: RequestStore, access_log: AccessLog, clock: Clock, due_within: timedelta) -> None:
        self._store = store
        self._access_log = access_log
        self._clock = clock
        self._due_within = due_within

    async def receive(
        self, kind: Kind, *, by: Actor, scope: ReadScope, reference: str | None = None, at: datetime | None = None
    ) -> PrivacyRequest:
        """Record a request that was received at a time, now by default, and is to be carried out later.

        Raises:
            BadRequest: If that time is in the future, or more than a year ago.
        """
        now = self._clock.now()
        received = at or now
        if not now - _OLDEST <= received <= now:
            raise BadRequest("received_at", "must be within the last 366 days; the time for an answer runs from it")
        request = PrivacyRequest(
            id=str(uuid7()),
            kind=kind,
            status="open",
            requested_by=by.name,
            received_at=to_micros(received),
            due_at=to_micros(received + self._due_within),
            dialogs=0,
            messages=0,
            purposes=scope.purposes,
            reference=reference,
        )
        await self._store.add(request, note=self._access_log.note(by, "request.received", subject=request.id))
        return request

    async def decide(self, request_id: str, decided: Ruling, *, by: Actor, scope: ReadScope) -> PrivacyRequest:
        """Record a decision about an open request, and return the request as it is then.

        Raises:
            NotFound: If no request has this id, or it concerns purposes outside of the scope.
            NotOpen: If it is not open.
            BadRequest: If the decision is not allowed (`on_decision`).
        """
        request = on_decision(await self._find(request_id, scope), decided, to_micros(self._clock.now()))
        if not await self._store.decide(request, self._access_log.note(by, "request.decided", subject=request_id)):
            raise NotOpen  # (R1)
        return request

    async def check_open(self, request_id: str, kind: Kind, scope: ReadScope) -> None:
        """Check that a request of this kind may be carried out for the open one.

        Raises:
            BadRequest: If there is no such request, it is of another kind, or it is not open.
        """
        try:
            request = await self._find(request_id, scope)
        except NotFound:
            raise BadRequest("answers", "must be the id of an open request; no request has this id") from None
        if (request.status, request.kind) != ("open", kind):
            raise BadRequest(
                "answers", f"must be an open request of the same kind; this {request.kind} is {request.status}"
            )

    async def _find(self, request_id: str, scope: ReadScope) -> PrivacyRequest:
        request = await self._store.find(request_id)
        if request is None or not scope.includes(request.purposes):
            raise NotFound
        return request
