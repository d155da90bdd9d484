"""`/v1/privacy-requests/register`: requests that were received and are carried out later (GDPR art. 12(3) to (6))."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from ... import errors
from ...privacy.register import EXTENDED_DAYS, LONGEST_EXTENSION, Ruling
from ...privacy.store import Decision, Extension, Ground, Kind, Reference
from ..http import bodies, parameters, tags
from ..http.disclosing import RequestOutcome, outcome_of
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route


class Received(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that was received: what is asked for, the officer's own reference, and when, if not now.

    It names no customer: keep who asked in your own file, under the reference.
    """

    kind: Kind
    reference: Reference | None = None
    received_at: (
        Annotated[datetime, Meta(tz=True, description="the time for an answer runs from here; RFC 3339")] | None
    ) = None


class OfficersDecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was decided about an open request: `extend` needs `extended_for`, and `refuse` needs `refused_for`."""

    decision: Decision
    extended_for: Extension | None = None
    refused_for: Ground | None = None
    days: Annotated[
        int, Meta(ge=1, le=LONGEST_EXTENSION, description="how long the request is extended: two months by default")
    ] = EXTENDED_DAYS


async def receive(request: web.Request) -> web.StreamResponse:
    """Record a request that was received, to be carried out later. It is due as any other, from its receipt on."""
    received = parameters.convert(await bodies.object_of(request), Received, numbers_as_text=())
    scope, service = request[PRINCIPAL].read_scope, request.app[SERVICE]
    recorded = await service.register.receive(
        received.kind, by=scope.by, scope=scope, reference=received.reference, at=received.received_at
    )
    location = service.settings.address_of(f"/v1/privacy-requests/{recorded.id}")
    return json(outcome_of(recorded), status=201, headers={hdrs.LOCATION: location})


async def decide(request: web.Request) -> web.StreamResponse:
    """Decide about an open request: it is answered, extended (once, before it is due), refused or withdrawn.

    Carry it out before it is answered, with `POST /v1/privacy-requests` and its id in `answers`.
    """
    given = parameters.convert(await bodies.object_of(request), OfficersDecision, numbers_as_text=())
    scope, register = request[PRINCIPAL].read_scope, request.app[SERVICE].register
    decided = Ruling(**msgspec.structs.asdict(given))
    return json(outcome_of(await register.decide(request.match_info["request_id"], decided, by=scope.by, scope=scope)))


ROUTES: Final = (
    Route(
        "POST",
        "/v1/privacy-requests/register",
        receive,
        scopes=("privacy",),
        body={bodies.JSON: Received},
        answers=(Answer({bodies.JSON: RequestOutcome}, 201, headers=(hdrs.LOCATION,)),),
        refusals=(errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.PRIVACY,
        operation="officer_receive",
    ),
    Route(
        "POST",
        "/v1/privacy-requests/{request_id}/decisions",
        decide,
        scopes=("privacy",),
        body={bodies.JSON: OfficersDecision},
        answers=(Answer({bodies.JSON: RequestOutcome}),),
        refusals=(errors.NotFound, errors.NotOpen, errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.PRIVACY,
        operation="officer_decide",
    ),
)
