"""The data scientist's door: messages, dialogs, a search in the words; as pages, or as one stream."""

from typing import Any, Final, Generic, TypeVar

import msgspec
from aiohttp import hdrs, web
from multidict import MultiDict

from .. import errors
from ..archive.views import Chat, KeptDialog, KeptMessage, Page, Summary
from ..errors import BadRequest
from ..exports.formats import MEDIA
from . import asking, tags
from .asking import DialogListing, MessageListing, Question, Search
from .bodies import JSON
from .negotiation import format_of
from .requests import PRINCIPAL, SERVICE, Answer, Route, json
from .streams import EXPORT_ID, stream

T = TypeVar("T")


class Paged(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. `next` is the cursor of the one after it, null at the end.

    With `order=stored` it is always there, to continue with what is stored later, and `more` tells whether that is now.
    `damaged` are the ids of dialogs that belong here and do not open: an officer restores or erases them.
    """

    items: list[T]
    next: str | None
    more: bool | msgspec.UnsetType = msgspec.UNSET
    damaged: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


async def messages(request: web.Request) -> web.StreamResponse:
    """Answer with a page of messages, or stream all of them."""
    return await _messages(request, asking.from_url(request, MessageListing))


async def search(request: web.Request) -> web.StreamResponse:
    """Answer with a page of messages, or stream all of them; the filters come in the body."""
    return await _messages(request, await asking.from_body(request))


async def _messages(request: web.Request, question: MessageListing) -> web.StreamResponse:
    form = format_of(request, question)
    if form is not None:
        return await stream(request, question, form, question.shape)
    if question.after is not None:
        raise BadRequest("after", "goes on with a stream; pages go on by their cursor")
    principal, service = request[PRINCIPAL], request.app[SERVICE]
    read = service.reading.chats if question.shape == "chat" else service.reading.messages
    page = await read(
        asking.to_filter(question, principal, service.archive),
        principal.sight,
        order=question.order,
        limit=question.limit,
        cursor=question.cursor,
    )
    return _page(request, question, page)


async def dialogs(request: web.Request) -> web.StreamResponse:
    """Answer with a page of dialogs, without their messages, or stream all of them."""
    question = asking.from_url(request, DialogListing)
    form = format_of(request, question)
    if form is not None:
        return await stream(request, question, form, "dialogs")
    principal, service = request[PRINCIPAL], request.app[SERVICE]
    page = await service.reading.dialogs(
        asking.to_filter(question, principal, service.archive),
        principal.sight,
        order=question.order,
        limit=question.limit,
        cursor=question.cursor,
    )
    return _page(request, question, page)


async def dialog(request: web.Request) -> web.StreamResponse:
    """Answer with one dialog, whole. Missing and foreign look the same (404); an erased one is 410."""
    principal, reading = request[PRINCIPAL], request.app[SERVICE].reading
    return json(await reading.dialog(request.match_info["dialog_id"], principal.sight))


def _page(request: web.Request, question: Question, page: Page[Any]) -> web.Response:
    """Return a page; in a URL's list the next one is linked as well (RFC 8288)."""
    more = page.more if question.order == "stored" else msgspec.UNSET
    body = Paged(page.items, page.next, more, page.damaged or msgspec.UNSET)
    headers: dict[str, str] = {}
    if (
        page.more and page.next is not None and request.method != hdrs.METH_POST
    ):  # or following the links in commit order would never end
        query = MultiDict(request.query)
        query["cursor"] = page.next
        headers[hdrs.LINK] = f'<{request.rel_url.with_query(query)}>; rel="next"'
    return json(body, headers=headers)


_STREAMED: Final = {media: bytes for name, media in MEDIA.items() if name != "ndjson"}
_MESSAGES: Final = {JSON: Paged[KeptMessage], MEDIA["ndjson"]: KeptMessage} | _STREAMED
_CHATS: Final = {JSON: Paged[Chat], MEDIA["ndjson"]: Chat}
_DIALOGS: Final = {JSON: Paged[Summary], MEDIA["ndjson"]: Summary} | _STREAMED

ROUTES: Final = (
    Route(
        "GET",
        "/v1/messages",
        messages,
        scopes=("data:read",),
        query=MessageListing,
        answers=(Answer(_MESSAGES, headers=(hdrs.LINK, EXPORT_ID)), Answer(_CHATS)),
        refusals=(errors.NotAcceptable,),
        tag=tags.DATA,
        operation="data_messages",
    ),
    Route(
        "POST",
        "/v1/messages/search",
        search,
        scopes=("data:read",),
        body={JSON: Search},
        answers=(Answer(_MESSAGES, headers=(EXPORT_ID,)), Answer(_CHATS)),
        refusals=(errors.NotAcceptable,),
        tag=tags.DATA,
        operation="data_search",
    ),
    Route(
        "GET",
        "/v1/dialogs",
        dialogs,
        scopes=("data:read",),
        query=DialogListing,
        answers=(Answer(_DIALOGS, headers=(hdrs.LINK, EXPORT_ID)),),
        refusals=(errors.NotAcceptable,),
        tag=tags.DATA,
        operation="data_dialogs",
    ),
    Route(
        "GET",
        "/v1/dialogs/{dialog_id}",
        dialog,
        scopes=("data:read",),
        answers=(Answer({JSON: KeptDialog}),),
        refusals=(errors.NotFound, errors.Erased, errors.Damaged),
        tag=tags.DATA,
        operation="data_dialog",
    ),
)
