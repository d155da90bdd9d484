"""`/v1/privacy-requests`: a customer's requests for access, portability and erasure (GDPR art. 15, 20, 17)."""

from contextlib import aclosing, suppress
from datetime import datetime
from functools import partial
from typing import Annotated, Final, Literal

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from consentful import wire

from ... import errors
from ...access_log.views import Recipient
from ...archive.views import KeptDialog, ShownNotice
from ...errors import BadRequest
from ...privacy import disclosure
from ...privacy.repeats import Repeat
from ...privacy.store import PrivacyRequest
from ..http import bodies, parameters, tags
from ..http.headers import IDEMPOTENCY_KEY
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route

_LONGEST_KEY: Final = 255


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer's request: its kind, and the customer's id."""

    kind: Literal["access", "portability", "erasure"]
    customer_id: wire.CustomerId

    def __repr__(self) -> str:
        return f"Asked(kind={self.kind!r})"


class RequestOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of a request.

    `status` of an erasure is `pending`, `unreadable` or `complete`, as in `Erased`; the server retries what is pending.
    `report` is a compact JWS with the result of the verification; `/.well-known/jwks.json` has its key.

    An access or portability request is `complete` once all of the answer was sent, and `incomplete` before that, or if
    the connection was lost, or if the answer had to leave out the `damaged` dialogs: restore these from a backup, then
    ask again. `dialogs` and `messages` count what was erased or sent.

    With `purposes`, the request was made with a key that is bound to them, and concerns only dialogs granted for one of
    them; without, all dialogs of the customer.
    """

    id: str
    kind: str
    status: str
    received_at: datetime
    due_at: datetime
    dialogs: int
    messages: int
    report: str | None = None
    purposes: tuple[str, ...] | None = None
    damaged: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class Disclosed(msgspec.Struct, frozen=True, kw_only=True):
    """All stored data of one customer, machine-readable (GDPR art. 15, 20).

    `recipients` are the credentials that read some of it. Each dialog has its purposes and its retention time;
    `notices` have the wordings that the customer agreed to, with the customer's rights and where to complain. `request`
    comes last, and says whether the answer is complete.
    """

    customer_id: str
    source: str = "the customer's own conversations with the chatbot"
    automated_decisions: str = "none are made here"
    recipients: list[Recipient]
    dialogs: list[KeptDialog]
    notices: list[wire.Notice]
    request: RequestOutcome

    def __repr__(self) -> str:
        return f"Disclosed({self.request.id!r}, dialogs={len(self.dialogs)})"


async def ask(request: web.Request) -> web.StreamResponse:
    """Carry out a customer's request: disclose the stored data, or erase it."""
    asked = parameters.convert(await bodies.object_of(request), Asked, numbers_as_text=())
    repeat = _repeat(request, asked)
    privacy, scope = request.app[SERVICE].privacy_requests, request[PRINCIPAL].read_scope
    if asked.kind != "erasure":
        answer = await privacy.disclose(asked.customer_id, asked.kind, by=scope.by, scope=scope, repeat=repeat)
        return await _disclose(request, asked.customer_id, answer)
    done = await privacy.erase(asked.customer_id, by=scope.by, scope=scope, repeat=repeat)
    return json(_outcome(done), status=201, headers={hdrs.LOCATION: _location(request, done.id)})


async def outcome(request: web.Request) -> web.StreamResponse:
    """Return the outcome of a request."""
    privacy, scope = request.app[SERVICE].privacy_requests, request[PRINCIPAL].read_scope
    return json(_outcome(await privacy.request(request.match_info["request_id"], by=scope.by, scope=scope)))


def _outcome(done: PrivacyRequest) -> RequestOutcome:
    return RequestOutcome(
        done.id,
        done.kind,
        done.status,
        done.received,
        done.due,
        done.dialogs,
        done.messages,
        done.report,
        done.purposes,
        done.damaged or msgspec.UNSET,
    )


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
    return repeats.of(who, "POST /v1/privacy-requests", keys[0], (asked.kind, asked.customer_id))


async def _disclose(request: web.Request, customer_id: str, answer: disclosure.Disclosed) -> web.StreamResponse:
    """Stream one customer's data as one JSON document, one dialog at a time, in constant memory."""
    service, shown = request.app[SERVICE], set[ShownNotice]()
    response = web.StreamResponse(
        status=201,
        headers={
            hdrs.CONTENT_TYPE: "application/json; charset=utf-8",
            hdrs.CACHE_CONTROL: "no-store",
            hdrs.LOCATION: _location(request, answer.request.id),
        },
    )
    async with aclosing(answer.dialogs(partial(service.access.recheck, request[PRINCIPAL]))) as dialogs:
        await response.prepare(request)
        with suppress(ConnectionError):  # the client disconnected: the request stays on record as incomplete
            await response.write(_head(customer_id, answer))
            separator = b""
            async for dialog in dialogs:
                await response.write(separator + msgspec.json.encode(dialog))
                separator = b","
                shown.add(dialog.notice)
            await response.write(_tail(await service.privacy_requests.notices(shown), answer))
            await response.write_eof()
            await answer.finish()
    return response


def _head(customer_id: str, answer: disclosure.Disclosed) -> bytes:
    """Return the document up to the opening bracket of `dialogs`."""
    return _document(customer_id, answer, []).partition(_AFTER_DIALOGS)[0]


def _tail(notices: list[wire.Notice], answer: disclosure.Disclosed) -> bytes:
    """Return the document from the closing bracket of `dialogs` on."""
    return _AFTER_DIALOGS + _document("", answer, notices).partition(_AFTER_DIALOGS)[2]


_AFTER_DIALOGS: Final = b'],"notices":'
"""Cannot occur before it does: inside of a string the quotes would be escaped."""


def _document(customer_id: str, answer: disclosure.Disclosed, notices: list[wire.Notice]) -> bytes:
    """Return the document without its dialogs."""
    return msgspec.json.encode(
        Disclosed(
            customer_id=customer_id,
            recipients=answer.recipients,
            dialogs=[],
            notices=notices,
            request=_outcome(answer.outcome),
        )
    )


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
        "/v1/privacy-requests/{request_id}",
        outcome,
        scopes=("privacy",),
        answers=(Answer({bodies.JSON: RequestOutcome}),),
        refusals=(errors.NotFound,),
        tag=tags.PRIVACY,
        operation="officer_outcome",
    ),
)
