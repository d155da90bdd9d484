"""`/v1/messages`: stored messages, as pages or as one stream."""

from typing import Any, Final

from aiohttp import hdrs, web

from ... import errors
from ...archive.views import Chat, KeptMessage
from ...errors import BadRequest
from ...exports.formats import MEDIA
from ..http import list_query, paging, tags
from ..http.bodies import JSON
from ..http.headers import EXPORT_ID
from ..http.list_query import MessageQuery, Search
from ..http.negotiation import format_of
from ..http.pipeline import PRINCIPAL, SERVICE
from ..http.route import Answer, Route
from ..http.streaming import STREAMED, stream


async def messages(request: web.Request) -> web.StreamResponse:
    """Return a page of messages, or stream all messages that match."""
    return await _messages(request, list_query.from_url(request, MessageQuery))


async def search(request: web.Request) -> web.StreamResponse:
    """Return a page of messages, or stream all messages that match; the filters come in the body."""
    return await _messages(request, await list_query.from_body(request, Search))


async def _messages(request: web.Request, query: MessageQuery) -> web.StreamResponse:
    form = format_of(request, query)
    if query.include is not None and (form is not None or query.shape == "chat"):
        raise BadRequest("include", "only accepted for a page of messages; omit it, or omit `format` and `shape`")
    if form is not None:
        return await stream(request, query, form, query.shape)
    if query.after is not None:
        raise BadRequest("after", "resumes a stream only; for pages, send `cursor`")
    principal, service = request[PRINCIPAL], request.app[SERVICE]
    pages, rows = service.pages, list_query.to_filter(query, principal, service)
    how: dict[str, Any] = {"order": query.order, "limit": query.limit, "cursor": query.cursor}
    if query.shape == "chat":
        page = await pages.chats(rows, principal.read_scope, roles=query.roles, **how)
    else:
        page = await pages.messages(rows, principal.read_scope, extras=query.extras, view=paging.encoded, **how)
        await paging.wait_for_turn(page, service.large_pages)
    return paging.page(request, query, page)


_MESSAGES: Final = {JSON: paging.Paged[KeptMessage], MEDIA["ndjson"]: KeptMessage} | STREAMED
_CHATS: Final = {JSON: paging.Paged[Chat], MEDIA["ndjson"]: Chat}

ROUTES: Final = (
    Route(
        "GET",
        "/v1/messages",
        messages,
        scopes=("data:read",),
        query=MessageQuery,
        answers=(Answer(_MESSAGES, headers=(hdrs.LINK, EXPORT_ID)), Answer(_CHATS)),
        refusals=(errors.NotAcceptable, errors.Restored, errors.TooOften),
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
        refusals=(errors.NotAcceptable, errors.Restored, errors.TooOften),
        tag=tags.DATA,
        operation="data_search",
    ),
)
