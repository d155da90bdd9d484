"""The original HTTP contract: chatbots that speak plain HTTP keep working.

POST /data/{customerId}/{dialogId}   one message, as JSON or as a form
POST /consents/{dialogId}            the decision, in any of the spellings that were ever sent
GET  /data  and  /data/              what was consented to, newest first, as a bare array
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
from ..http.parameters import convert, single
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route

ROOM: Final = web.AppKey("waiting room", WaitingRoom)

_SPELLINGS: Final = {"true": True, "false": False}
_BARE: Final = {b"true": True, b"false": False}
"""In any case as well: `str(True)` of a chatbot in Python is `True`."""


class Pushed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message, as it is pushed."""

    text: Annotated[str, Meta(min_length=1)]
    language: wire.Language | None = None

    def __repr__(self) -> str:
        return f"Pushed(text=<{len(self.text)} characters>)"


class Held(msgspec.Struct, frozen=True, rename="camel"):
    """The message waits in memory for the dialog's decision."""

    dialog_id: str


Spelt: TypeAlias = Annotated[
    str, Meta(pattern=r"^\s*([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])\s*$", description="true or false, in any case")
]


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The decision as an object."""

    consent: bool | Spelt


DECISION: Final = bool | Spelt | Decision
"""Every spelling in JSON that was ever sent."""


class DecisionForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The decision as a form."""

    consent: Spelt


class Datum(msgspec.Struct, frozen=True, rename="camel"):
    """One consented message, as the original contract shows it; `language` as the chatbot spelt it."""

    customer_id: str
    dialog_id: str
    text: str
    language: str | None
    timestamp: datetime

    def __repr__(self) -> str:
        return f"Datum(dialog_id={self.dialog_id!r})"


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the list may be asked for. `customerId` was spelt in two ways."""

    language: Range | None = None
    customerId: wire.CustomerId | None = None  # noqa: N815 - the original spelling
    customer_id: wire.CustomerId | None = None
    limit: Limit = DEFAULT_LIMIT
    offset: Annotated[int, Meta(ge=0, le=2**53, description="how many of the newest to leave out")] = 0


class _Path(msgspec.Struct, frozen=True):
    dialogId: wire.DialogId  # noqa: N815
    customerId: wire.CustomerId = "-"  # noqa: N815


async def push(request: web.Request) -> web.StreamResponse:
    """Hold one message until its dialog is decided."""
    _refuse_several_workers(request)
    path = convert(request.match_info, _Path)
    pushed = convert(await _fields(request), Pushed)
    _charge(request, pushed)
    await request.app[ROOM].push(path.customerId, path.dialogId, pushed.text, pushed.language, request[PRINCIPAL])
    return json(Held(path.dialogId), status=201)


async def consent(request: web.Request) -> web.StreamResponse:
    """Store the dialog or drop it; "no" after "yes" erases it."""
    _refuse_several_workers(request)
    path = convert(request.match_info, _Path)
    granted = await _decision(request)
    return json(await request.app[ROOM].decide(path.dialogId, granted, request[PRINCIPAL]))


async def data(request: web.Request) -> web.StreamResponse:
    """List what was consented to, newest first."""
    asked = convert(single(request), Listing)
    archive = request.app[SERVICE].archive
    customer_id = asked.customerId or asked.customer_id
    if asked.customerId and asked.customer_id and asked.customerId != asked.customer_id:
        raise BadRequest("customer_id", "is another customer than `customerId`")
    wanted = Filter(
        language=None if asked.language is None else language_range(asked.language),
        customer=None if customer_id is None else archive.pseudonym(customer_id),
    )
    found = await request.app[SERVICE].pages.latest(
        wanted, request[PRINCIPAL].read_scope, limit=asked.limit + 1, offset=asked.offset, view=_datum
    )
    has_more = len(found) > asked.limit
    headers = paging.next_link(request, offset=str(asked.offset + asked.limit)) if has_more else {}
    return json(found[: asked.limit], headers=headers)


def _charge(request: web.Request, pushed: Pushed) -> None:
    """Have the client pay for a message as for one on a live dialog.

    Raises:
        TooOften: If it sends too many.
    """
    names = (by_address(client_address(request)), by_credential(request[PRINCIPAL].id))
    request.app[SERVICE].clients.charge(names, 1, request.content_length or len(pushed.text))


def _refuse_several_workers(request: web.Request) -> None:
    """See that the next request about this dialog comes to this process, whose memory holds it.

    Raises:
        Unsupported: If another worker may get it.
    """
    if request.app[SERVICE].settings.workers > 1:
        raise Unsupported("dialogs pushed over HTTP wait in one process; start the server with --workers 1")


def _datum(opened: Opened, row: MessageRow) -> Datum:
    return Datum(
        customer_id=opened.customer_id,
        dialog_id=opened.dialog_id,
        text=opened.text(row.seq),
        language=opened.spelt(row.seq) or row.language,
        timestamp=from_micros(row.received_at),
    )


async def _fields(request: web.Request) -> dict[str, Any]:
    """Return the body's fields: a JSON object or a form, whatever the type says that a client forgot to set."""
    body = await bodies.of_either(request)
    if body.startswith(b"{") or request.content_type == bodies.JSON:
        decoded = bodies.decode_json(body)
        if not isinstance(decoded, dict):
            raise BadRequest("body", 'a JSON object such as {"text": "Hi", "language": "EN"}')
        return cast("dict[str, Any]", decoded)
    return bodies.decode_form(body)


async def _decision(request: web.Request) -> bool:
    """Return the decision: `true`, `"true"`, `{"consent": true}` or the form field `consent=true`, in any case."""
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
        raise BadRequest("body", 'true or false, "true" or "false", {"consent": true}, or the form field consent=true')
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
