"""The original HTTP contract, for chatbots without WebSockets.

POST /data/{customerId}/{dialogId}   one message, as JSON or as a form
POST /consents/{dialogId}            the decision, in every form that chatbots have sent
GET  /data  and  /data/              the stored messages, newest first, as a plain array

Messages are held in the memory of the process that receives them, until the decision. So all requests of a dialog must
reach the same process, and the routes refuse to run with several workers.
"""

from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from consentful import wire

from ... import errors
from ...archive.opening import Opened
from ...archive.query import Filter, language_range
from ...archive.store import MessageRow
from ...clock import from_micros
from ...dialogs.waiting_room import Decided, WaitingRoom
from ...errors import BadRequest, Unsupported
from ...limits.clients import by_address, by_credential
from ..http import bodies, paging, tags
from ..http.addresses import client_address
from ..http.list_query import DEFAULT_LIMIT, Limit, Range
from ..http.parameters import convert, of_url
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route

ROOM: Final = web.AppKey("waiting room", WaitingRoom)

_SPELLINGS: Final = {"true": True, "false": False}
_BARE: Final = {b"true": True, b"false": False}
"""Compared in lower case: a chatbot in Python sends `str(True)`, which is `True`."""


class Pushed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message of a dialog."""

    text: Annotated[str, Meta(min_length=1)]
    language: wire.Language | None = None

    def __repr__(self) -> str:
        return f"Pushed(text=<{len(self.text)} characters>)"


class Held(msgspec.Struct, frozen=True, rename="camel"):
    """The message is held in memory until the dialog is decided."""

    dialog_id: str


Spelt: TypeAlias = Annotated[
    str, Meta(pattern=r"^\s*([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])\s*$", description="true or false, in any case")
]


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The decision as a JSON object."""

    consent: bool | Spelt


DECISION: Final = bool | Spelt | Decision
"""Every JSON form of the decision that chatbots have sent."""


class DecisionForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The decision as a form field."""

    consent: Spelt


class Datum(msgspec.Struct, frozen=True, rename="camel"):
    """One stored message, in the original contract's form. `language` is as the chatbot sent it."""

    customer_id: str
    dialog_id: str
    text: str
    language: str | None
    timestamp: datetime

    def __repr__(self) -> str:
        return f"Datum(dialog_id={self.dialog_id!r})"


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The filters and paging parameters of the list. Chatbots use both spellings of the customer id."""

    language: Range | None = None
    customerId: wire.CustomerId | None = None  # noqa: N815 - the original spelling
    customer_id: wire.CustomerId | None = None
    limit: Limit = DEFAULT_LIMIT
    offset: Annotated[int, Meta(ge=0, le=2**53, description="number of the newest messages to skip")] = 0


class _Path(msgspec.Struct, frozen=True):
    dialogId: wire.DialogId  # noqa: N815
    customerId: wire.CustomerId = "-"  # noqa: N815


async def push(request: web.Request) -> web.StreamResponse:
    """Add one message to a dialog. It is held in memory until the dialog is decided."""
    _require_one_worker(request)
    path = convert(request.match_info, _Path)
    pushed = convert(await _fields(request), Pushed)
    _charge(request, pushed)
    await request.app[ROOM].push(path.customerId, path.dialogId, pushed.text, pushed.language, request[PRINCIPAL])
    return json(Held(path.dialogId), status=201)


async def consent(request: web.Request) -> web.StreamResponse:
    """Decide a dialog: store it or discard it. `false` after `true` is a withdrawal and erases the stored dialog."""
    _require_one_worker(request)
    path = convert(request.match_info, _Path)
    granted = await _decision(request)
    return json(await request.app[ROOM].decide(path.dialogId, granted, request[PRINCIPAL]))


async def data(request: web.Request) -> web.StreamResponse:
    """List stored messages, newest first."""
    query = convert(of_url(request), Listing)
    archive = request.app[SERVICE].archive
    customer_id = query.customerId or query.customer_id
    if query.customerId and query.customer_id and query.customerId != query.customer_id:
        raise BadRequest("customer_id", "must be the same customer as `customerId`; send one of the two")
    rows = Filter(
        language=None if query.language is None else language_range(query.language),
        customer=None if customer_id is None else archive.pseudonym(customer_id),
    )
    found = await request.app[SERVICE].pages.latest(
        rows, request[PRINCIPAL].read_scope, limit=query.limit + 1, offset=query.offset, view=_datum
    )
    has_more = len(found) > query.limit
    headers = paging.next_link(request, offset=str(query.offset + query.limit)) if has_more else {}
    return json(found[: query.limit], headers=headers)


def _charge(request: web.Request, pushed: Pushed) -> None:
    """Count the message against the client's rate limits, like a frame of a live dialog.

    Raises:
        TooOften: If the client exceeds a rate limit.
    """
    names = (by_address(client_address(request)), by_credential(request[PRINCIPAL].id))
    request.app[SERVICE].clients.charge(names, 1, request.content_length or len(pushed.text))


def _require_one_worker(request: web.Request) -> None:
    """Check that later requests of the dialog reach this process, which holds it in memory.

    Raises:
        Unsupported: If the server has several workers.
    """
    if request.app[SERVICE].settings.workers > 1:
        raise Unsupported("the original HTTP contract requires one process; start the server with --workers 1")


def _datum(opened: Opened, row: MessageRow) -> Datum:
    return Datum(
        customer_id=opened.customer_id,
        dialog_id=opened.dialog_id,
        text=opened.text(row.seq),
        language=opened.spelt(row.seq) or row.language,
        timestamp=from_micros(row.received_at),
    )


async def _fields(request: web.Request) -> dict[str, Any]:
    """Return the body's fields, of a JSON object or of a form. The Content-Type may be missing."""
    body = await bodies.of_either(request)
    if body.startswith(b"{") or request.content_type == bodies.JSON:
        decoded = bodies.decode_json(body)
        if not isinstance(decoded, dict):
            raise BadRequest("body", 'must be a JSON object, such as {"text": "Hi", "language": "EN"}')
        return cast("dict[str, Any]", decoded)
    return bodies.decode_form(body)


async def _decision(request: web.Request) -> bool:
    """Return the decision: `true`, `"true"`, `{"consent": true}` or the form field `consent=true`; any letter case."""
    body = await bodies.of_either(request)
    if body.lower() in _BARE:
        return _BARE[body.lower()]
    decision = (
        bodies.decode_form(body).get("consent")
        if b"=" in body and not body.startswith(b"{")
        else bodies.decode_json(body)
    )
    if isinstance(decision, dict):
        fields = cast("dict[str, Any]", decision)
        decision = fields["consent"] if set(fields) == {"consent"} else None
    if isinstance(decision, str):
        decision = _SPELLINGS.get(decision.strip().lower())
    if not isinstance(decision, bool):
        raise BadRequest(
            "body", 'must be true or false, "true" or "false", {"consent": true}, or the form field consent=true'
        )
    return decision


_DATA: Final = (Answer({bodies.JSON: list[Datum]}, headers=(hdrs.LINK,)),)

ROUTES: Final = (
    Route(
        "POST",
        "/data/{customerId}/{dialogId}",
        push,
        scopes=("dialogs:write",),
        body={bodies.JSON: Pushed, bodies.FORM: Pushed},
        answers=(Answer({bodies.JSON: Held}, 201),),
        refusals=(
            errors.Conflict,
            errors.Erased,
            errors.OverLimit,
            errors.Overloaded,
            errors.TooOften,
            errors.Unsupported,
        ),
        tag=tags.ORIGINAL,
        operation="original_push",
    ),
    Route(
        "POST",
        "/consents/{dialogId}",
        consent,
        scopes=("dialogs:write",),
        body={bodies.JSON: DECISION, bodies.FORM: DecisionForm, bodies.TEXT: Spelt},
        answers=(Answer({bodies.JSON: Decided}),),
        refusals=(
            errors.NotFound,
            errors.Conflict,
            errors.Erased,
            errors.StorageFailed,
            errors.OutcomeUnknown,
            errors.Unsupported,
        ),
        tag=tags.ORIGINAL,
        operation="original_consent",
    ),
    Route(
        "GET",
        "/data",
        data,
        scopes=("data:identify",),
        query=Listing,
        answers=_DATA,
        tag=tags.ORIGINAL,
        operation="original_data",
    ),
    Route(
        "GET",
        "/data/",
        data,
        scopes=("data:identify",),
        query=Listing,
        answers=_DATA,
        tag=tags.ORIGINAL,
        operation="original_data",
    ),
)
