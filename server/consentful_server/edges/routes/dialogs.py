"""`/v1/dialogs`: the list of stored dialogs; and one dialog, read or erased."""

from typing import Final

import msgspec
from aiohttp import hdrs, web

from consentful import wire

from ... import errors
from ...archive.views import KeptDialog, Summary
from ...errors import BadRequest, NotFound
from ...exports.formats import MEDIA
from ..http import list_query, paging, tags
from ..http.bodies import JSON
from ..http.erasure import ERASED, ERASURE_REFUSALS, erased
from ..http.headers import EXPORT_ID
from ..http.list_query import DialogQuery, DialogSearch
from ..http.negotiation import format_of
from ..http.parameters import convert, of_path
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route
from ..http.streaming import STREAMED, stream


class _Path(msgspec.Struct, frozen=True):
    dialog_id: wire.DialogId


async def dialogs(request: web.Request) -> web.StreamResponse:
    """Return a page of dialogs without their messages, or stream all dialogs that match."""
    return await _dialogs(request, list_query.from_url(request, DialogQuery))


async def search(request: web.Request) -> web.StreamResponse:
    """Return a page of dialogs, or stream all dialogs that match; the filters come in the body."""
    return await _dialogs(request, await list_query.from_body(request, DialogSearch))


async def _dialogs(request: web.Request, query: DialogQuery) -> web.StreamResponse:
    form = format_of(request, query)
    if form is not None:
        if query.include is not None:
            raise BadRequest("include", "not accepted for a stream; omit it, or request application/json")
        if query.order == "random":
            raise BadRequest("order", "random is for pages; request those, and export the dialogs by `dialog_ids`")
        return await stream(request, query, form, "dialogs")
    principal, service = request[PRINCIPAL], request.app[SERVICE]
    page = await service.pages.dialogs(
        list_query.to_filter(query, principal, service),
        principal.read_scope,
        order=query.order,
        limit=query.limit,
        cursor=query.cursor,
        extras=query.extras,
    )
    return paging.page(request, query, page)


async def dialog(request: web.Request) -> web.StreamResponse:
    """Return one dialog with its messages. 404: it does not exist, or is not accessible to you; 410: it was erased."""
    principal, reading = request[PRINCIPAL], request.app[SERVICE].pages
    return json(await reading.dialog(convert(of_path(request), _Path).dialog_id, principal.read_scope))


async def erase(request: web.Request) -> web.StreamResponse:
    """Erase one dialog. A chatbot can erase its own dialogs, a privacy officer every dialog. Idempotent.

    A privacy officer whose key is bound to purposes can erase the dialogs that were granted for one of them.
    """
    principal, archive = request[PRINCIPAL], request.app[SERVICE].archive
    dialog_id = convert(of_path(request), _Path).dialog_id
    if principal.may("privacy"):
        try:
            return erased(await archive.erase(dialog_id, "requested", scope=principal.read_scope, by=principal.actor))
        except NotFound:
            if not principal.may("dialogs:write"):
                raise
    return erased(await archive.erase(dialog_id, "withdrawn", owner=principal.id, by=principal.actor))


_DIALOGS: Final = {JSON: paging.Paged[Summary], MEDIA["ndjson"]: Summary} | STREAMED

ROUTES: Final = (
    Route(
        "GET",
        "/v1/dialogs",
        dialogs,
        scopes=("data:read",),
        query=DialogQuery,
        answers=(Answer(_DIALOGS, headers=(hdrs.LINK, EXPORT_ID)),),
        refusals=(errors.NotAcceptable, errors.Restored, errors.TooOften),
        tag=tags.DATA,
        operation="data_dialogs",
    ),
    Route(
        "POST",
        "/v1/dialogs:search",  # a colon, because `search` can be the id of a dialog
        search,
        scopes=("data:read",),
        body={JSON: DialogSearch},
        answers=(Answer(_DIALOGS, headers=(EXPORT_ID,)),),
        refusals=(errors.NotAcceptable, errors.Restored, errors.TooOften),
        tag=tags.DATA,
        operation="data_dialog_search",
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
    Route(
        "DELETE",
        "/v1/dialogs/{dialog_id}",
        erase,
        scopes=("dialogs:write", "privacy"),
        answers=ERASED,
        refusals=ERASURE_REFUSALS,
        tag=tags.WITHDRAWAL,
        operation="rest_erase",
    ),
)
