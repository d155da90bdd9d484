"""`/v1/privacy-requests`: a customer's requests for access, portability and erasure (GDPR art. 15, 20, 17)."""

from contextlib import aclosing, suppress
from datetime import datetime
from functools import partial
from typing import Annotated, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from consentful import wire

from ... import errors
from ...clock import to_micros
from ...errors import BadRequest
from ...privacy import disclosure
from ...privacy.repeats import Repeat
from ...privacy.store import Kind, RequestOrder, RequestPlace, RequestsWanted, Status
from ..http import bodies, list_query, paging, parameters, tags
from ..http.disclosing import Disclosed, RequestOutcome, RequestPage, document, outcome_of
from ..http.headers import IDEMPOTENCY_KEY
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route

_LONGEST_KEY: Final = 255
_LIST: Final = "privacy requests"


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer's request: its kind, the customer's id, and the open request that it helps to answer."""

    kind: Kind
    customer_id: wire.CustomerId
    answers: str | None = None

    def __repr__(self) -> str:
        return f"Asked(kind={self.kind!r})"


class RequestListing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The filters and paging parameters of the list of requests."""

    status: Annotated[Status, Meta(description="the request's status")] | None = None
    kind: Annotated[Kind, Meta(description="what was asked for")] | None = None
    due_before: (
        Annotated[datetime, Meta(tz=True, description="due before this time; RFC 3339 with an offset")] | None
    ) = None
    order: Annotated[
        RequestOrder, Meta(description="`newest`: by time of receipt, newest first; `due`: the first due first")
    ] = "newest"
    limit: list_query.Limit = list_query.DEFAULT_LIMIT
    cursor: list_query.Cursor | None = None


async def ask(request: web.Request) -> web.StreamResponse:
    """Carry out a customer's request: disclose the stored data, or erase it."""
    asked = parameters.convert(await bodies.object_of(request), Asked, numbers_as_text=())
    repeat = _repeat(request, asked)
    privacy, scope = request.app[SERVICE].privacy_requests, request[PRINCIPAL].read_scope
    if asked.answers is not None:
        await request.app[SERVICE].register.check_open(asked.answers, asked.kind, scope)
    if asked.kind != "erasure":
        answer = await privacy.disclose(
            asked.customer_id, asked.kind, by=scope.by, scope=scope, repeat=repeat, answers=asked.answers
        )
        return await _disclose(request, asked.customer_id, answer)
    done = await privacy.erase(asked.customer_id, by=scope.by, scope=scope, repeat=repeat, answers=asked.answers)
    return json(outcome_of(done), status=201, headers={hdrs.LOCATION: _location(request, done.id)})


async def requests(request: web.Request) -> web.StreamResponse:
    """List privacy requests with their outcomes, but without the reports of erasures.

    With a key that is bound to purposes, the list shows requests that concern those purposes alone; a page may then be
    shorter than `limit`, even empty, while `next` is set.
    """
    query = parameters.convert(parameters.of_url(request), RequestListing)
    service, scope = request.app[SERVICE], request[PRINCIPAL].read_scope
    due_before = None if query.due_before is None else to_micros(query.due_before)
    wanted = RequestsWanted(status=query.status, kind=query.kind, due_before=due_before, order=query.order)
    bound = (msgspec.to_builtins(wanted), scope.purposes)
    after = None if query.cursor is None else RequestPlace(*service.cursors.marked_key(query.cursor, _LIST, bound))
    found, following = await service.privacy_requests.page(wanted, after, query.limit, by=scope.by, scope=scope)
    cursor = None if following is None else service.cursors.mark_key(_LIST, bound, *following)
    headers = {} if cursor is None else paging.next_link(request, cursor=cursor)
    return json(RequestPage([outcome_of(it) for it in found], cursor), headers=headers)


async def outcome(request: web.Request) -> web.StreamResponse:
    """Return the outcome of a request."""
    privacy, scope = request.app[SERVICE].privacy_requests, request[PRINCIPAL].read_scope
    return json(outcome_of(await privacy.request(request.match_info["request_id"], by=scope.by, scope=scope)))


def _location(request: web.Request, request_id: str) -> str:
    """Return the URL of a request's outcome."""
    return request.app[SERVICE].settings.address_of(f"/v1/privacy-requests/{request_id}")


def _repeat(request: web.Request, asked: Asked) -> Repeat | None:
    """Return what identifies the request, if it has an Idempotency-Key."""
    keys = request.headers.getall(IDEMPOTENCY_KEY, [])
    if not keys:
        return None
    if len(keys) > 1 or not 1 <= len(keys[0]) <= _LONGEST_KEY:
        raise BadRequest(IDEMPOTENCY_KEY, f"must be one value of 1 to {_LONGEST_KEY} characters")
    repeats, who = request.app[SERVICE].repeats, request[PRINCIPAL].read_scope.by.name
    body = (asked.kind, asked.customer_id) if asked.answers is None else (asked.kind, asked.customer_id, asked.answers)
    return repeats.of(who, "POST /v1/privacy-requests", keys[0], body)


async def _disclose(request: web.Request, customer_id: str, answer: disclosure.Disclosed) -> web.StreamResponse:
    """Stream one customer's data as one JSON document, one dialog at a time, in constant memory."""
    service = request.app[SERVICE]
    response = web.StreamResponse(
        status=201,
        headers={
            hdrs.CONTENT_TYPE: "application/json; charset=utf-8",
            hdrs.CACHE_CONTROL: "no-store",
            hdrs.LOCATION: _location(request, answer.request.id),
        },
    )
    check = partial(service.access.recheck, request[PRINCIPAL])
    async with aclosing(document(service.privacy_requests, customer_id, answer, check)) as parts:
        await response.prepare(request)
        with suppress(ConnectionError):  # the client disconnected: the request stays on record as incomplete
            async for part in parts:
                await response.write(part)
            await response.write_eof()
            await answer.finish()
    return response


_KEY: Final = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=_LONGEST_KEY,
        description="a unique key of your choice; a repeated erasure within 24 hours returns the first outcome, and"
        " the same key with another body is refused",
    ),
]

ROUTES: Final = (
    Route(
        "POST",
        "/v1/privacy-requests",
        ask,
        scopes=("privacy",),
        headers={IDEMPOTENCY_KEY: _KEY},
        body={bodies.JSON: Asked},
        answers=(
            Answer({bodies.JSON: RequestOutcome}, 201, headers=(hdrs.LOCATION,)),
            Answer({bodies.JSON: Disclosed}, 201, headers=(hdrs.LOCATION,)),
        ),
        refusals=(errors.KeyReused, errors.KeyInUse, errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.PRIVACY,
        operation="officer_ask",
    ),
    Route(
        "GET",
        "/v1/privacy-requests",
        requests,
        scopes=("privacy",),
        query=RequestListing,
        answers=(Answer({bodies.JSON: RequestPage}, headers=(hdrs.LINK,)),),
        refusals=(errors.Restored, errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.PRIVACY,
        operation="officer_list",
    ),
    Route(
        "GET",
        "/v1/privacy-requests/{request_id}",
        outcome,
        scopes=("privacy",),
        answers=(Answer({bodies.JSON: RequestOutcome}),),
        refusals=(errors.NotFound,),
        tag=tags.PRIVACY,
        operation="officer_outcome",
    ),
)
