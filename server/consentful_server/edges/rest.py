"""REST over what was consented to: lists, search, one dialog, its withdrawal."""

from contextlib import aclosing, suppress
from datetime import datetime
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta
from multidict import MultiDict

from .. import errors
from ..clock import from_micros
from ..errors import BadRequest, NotAcceptable
from ..stores import Erasure
from ..views import KeptDialog, KeptMessage, Page, Summary
from . import asking, bodies, requests
from .asking import Listing, Question, Search
from .bodies import JSON, NDJSON
from .requests import PRINCIPAL, SERVICE, Answer, Route, json

T = TypeVar("T")

_JWKS: Final = "application/jwk-set+json"
_FORMATS: Final = {"json": JSON, "ndjson": NDJSON}


class Paged(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. `next` is the cursor of the one after it, null at the end.

    With `order=stored` it is always there, to continue with what is stored later, and `more` tells whether that is now.
    """

    items: list[T]
    next: str | None
    more: bool | msgspec.UnsetType = msgspec.UNSET


class Jwk(msgspec.Struct, frozen=True):
    """One public key (RFC 8037). `kid` is its thumbprint (RFC 7638)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    use: Literal["sig"]
    alg: Literal["EdDSA"]


class Jwks(msgspec.Struct, frozen=True):
    """The keys that receipts and reports are verified with."""

    keys: list[Jwk]


async def messages(request: web.Request) -> web.StreamResponse:
    """Answer with a page of messages, or stream all of them."""
    question = asking.from_url(request, Listing)
    if _format(request, question) == NDJSON:
        return await _stream(request, question)
    return await _messages(request, question)


async def search(request: web.Request) -> web.StreamResponse:
    """Answer with a page of messages; the filters come in the body."""
    question = await asking.from_body(request)
    if _format(request, question) == NDJSON:
        return await _stream(request, question)
    return await _messages(request, question)


async def dialogs(request: web.Request) -> web.StreamResponse:
    """Answer with a page of dialogs, without their messages."""
    question = asking.from_url(request, Question)
    principal, archive = request[PRINCIPAL], request.app[SERVICE].archive
    page = await archive.dialogs(
        asking.to_filter(question, principal, archive),
        principal.sight,
        order=question.order,
        limit=question.limit,
        cursor=question.cursor,
    )
    return _page(request, question, page)


async def dialog(request: web.Request) -> web.StreamResponse:
    """Answer with one dialog, whole. Missing and foreign look the same (404); an erased one is 410."""
    principal, archive = request[PRINCIPAL], request.app[SERVICE].archive
    return json(await archive.dialog(request.match_info["dialog_id"], principal.sight))


class Erased(msgspec.Struct, frozen=True):
    """An erasure's outcome: `unreadable` once no copy of the key is left here, `pending` until a reader lets go."""

    dialog_id: str
    erased_at: datetime
    status: Literal["unreadable", "pending"]


async def erase(request: web.Request) -> web.StreamResponse:
    """Erase one dialog: a chatbot its own, a privacy officer anyone's. Asked again, it answers the same."""
    principal, archive = request[PRINCIPAL], request.app[SERVICE].archive
    may_any = principal.may("privacy")
    erasure = await archive.erase(
        request.match_info["dialog_id"],
        "requested" if may_any else "withdrawn",
        owner=None if may_any else principal.id,
        by=principal.actor,
    )
    return _erased(erasure)


def _erased(erasure: Erasure) -> web.Response:
    stone = erasure.tombstone
    status = "unreadable" if erasure.truncated else "pending"
    answer = Erased(stone.dialog_id, from_micros(stone.erased_at), status)
    return json(answer, status=200 if erasure.truncated else 202)


class Withdrawal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer's code, as `stored` carried it. Spaces, hyphens and case do not matter."""

    code: Annotated[str, Meta(min_length=1, max_length=100)]

    def __repr__(self) -> str:
        return "Withdrawal(…)"


async def withdraw(request: web.Request) -> web.StreamResponse:
    """Take a consent back (GDPR art. 7(3)): whoever has the code may. A used code answers the same, a wrong one 404."""
    request.app[SERVICE].guesses.admit(request.remote)
    given = asking.convert(await bodies.object_of(request), Withdrawal, spelt=())
    return _erased(await request.app[SERVICE].archive.withdraw(given.code, requests.by_customer(request)))


async def jwks(request: web.Request) -> web.StreamResponse:
    """Publish the keys that receipts are verified with (RFC 7517)."""
    body = msgspec.json.encode(Jwks([Jwk(**request.app[SERVICE].signer.jwk)]))
    headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
    return web.Response(body=body, content_type=_JWKS, headers=headers)


async def _messages(request: web.Request, question: Question) -> web.StreamResponse:
    principal, archive = request[PRINCIPAL], request.app[SERVICE].archive
    page = await archive.messages(
        asking.to_filter(question, principal, archive),
        principal.sight,
        order=question.order,
        limit=question.limit,
        cursor=question.cursor,
    )
    return _page(request, question, page)


async def _stream(request: web.Request, question: Question) -> web.StreamResponse:
    """Stream everything that fits as NDJSON. A client that reads slowly slows the query, nothing else."""
    if question.cursor is not None:
        raise BadRequest("cursor", "a stream has no pages; leave the cursor out, or ask for application/json")
    principal, archive = request[PRINCIPAL], request.app[SERVICE].archive
    blocks = archive.stream(asking.to_filter(question, principal, archive), principal.sight, order=question.order)
    response = web.StreamResponse(headers={"Content-Type": NDJSON, "Cache-Control": "no-store"})
    if request.method == hdrs.METH_HEAD:
        await blocks.aclose()
        return response
    async with aclosing(blocks):
        first = await anext(blocks, None)  # what can be refused is refused before the first byte
        await response.prepare(request)
        with suppress(ConnectionError):  # a reader that stops in the middle is no fault of ours
            await response.write(_lines(first or ()))
            async for block in blocks:
                await response.write(_lines(block))
            await response.write_eof()
    return response


_lines: Final = msgspec.json.Encoder().encode_lines


def _page(request: web.Request, question: Question, page: Page[Any]) -> web.Response:
    """Return a page; in a URL's list the next one is linked as well (RFC 8288)."""
    body = Paged(page.items, page.next, page.more if question.order == "stored" else msgspec.UNSET)
    headers: dict[str, str] = {}
    if (
        page.more and page.next is not None and request.method != hdrs.METH_POST
    ):  # or following the links in commit order would never end
        query = MultiDict(request.query)
        query["cursor"] = page.next
        headers[hdrs.LINK] = f'<{request.rel_url.with_query(query)}>; rel="next"'
    return json(body, headers=headers)


def _format(request: web.Request, question: Question) -> str:
    """Return the media type to answer in: `?format=` before `Accept` before JSON.

    Raises:
        NotAcceptable: If none that is offered was asked for.
    """
    if isinstance(question, Listing) and question.format is not None:
        return _FORMATS[question.format]
    for media in _accepted(request.headers.getall(hdrs.ACCEPT, ["*/*"])):
        if media in _FORMATS.values():
            return media
        if media in ("*/*", "application/*", ""):
            return JSON
    raise NotAcceptable(", ".join(_FORMATS.values()))


def _accepted(headers: list[str]) -> list[str]:
    """Return the media types of `Accept`, best first, without those that are not wanted (RFC 9110 §12.5.1)."""
    weighed: list[tuple[float, str]] = []
    for part in ",".join(headers).split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((piece.removeprefix("q=") for piece in parameters if piece.startswith("q=")), "1")
        try:
            weighed.append((float(weight), media))
        except ValueError:
            raise BadRequest("Accept", "a list of media types, with weights as in `application/json;q=0.5`") from None
    return [media for weight, media in sorted(weighed, key=lambda each: -each[0]) if weight > 0]


_MESSAGES: Final = {JSON: Paged[KeptMessage], NDJSON: KeptMessage}
_ERASED: Final = (Answer({JSON: Erased}), Answer({JSON: Erased}, 202))
_WRITING: Final = (errors.NotFound, errors.StorageFailed, errors.OutcomeUnknown)

ROUTES: Final = (
    Route(
        "GET",
        "/v1/messages",
        messages,
        ("data:read",),
        query=Listing,
        answers=(Answer(_MESSAGES, headers=(hdrs.LINK,)),),
        refusals=(errors.NotAcceptable, errors.Damaged),
    ),
    Route(
        "POST",
        "/v1/messages/search",
        search,
        ("data:read",),
        body={JSON: Search},
        answers=(Answer(_MESSAGES),),
        refusals=(errors.NotAcceptable, errors.Damaged),
    ),
    Route(
        "GET",
        "/v1/dialogs",
        dialogs,
        ("data:read",),
        query=Question,
        answers=(Answer({JSON: Paged[Summary]}, headers=(hdrs.LINK,)),),
        refusals=(errors.Damaged,),
    ),
    Route(
        "GET",
        "/v1/dialogs/{dialog_id}",
        dialog,
        ("data:read",),
        answers=(Answer({JSON: KeptDialog}),),
        refusals=(errors.NotFound, errors.Erased, errors.Damaged),
    ),
    Route(
        "DELETE",
        "/v1/dialogs/{dialog_id}",
        erase,
        ("dialogs:write", "privacy"),
        answers=_ERASED,
        refusals=_WRITING,
    ),
    Route(
        "POST",
        "/v1/withdrawals",
        withdraw,
        body={JSON: Withdrawal},
        answers=_ERASED,
        refusals=(*_WRITING, errors.TooOften),
    ),
    Route("GET", "/.well-known/jwks.json", jwks, answers=(Answer({_JWKS: Jwks}),)),
)
