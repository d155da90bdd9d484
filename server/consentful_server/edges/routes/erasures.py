"""`/v1/erasures`: the feed of erased dialogs, for those who keep copies (GDPR art. 19)."""

from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from ... import errors
from ...exports.views import Erasure
from ..http import bodies, list_query, parameters, tags
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route

_FEED: Final = "erasures"


class Following(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the feed is asked for."""

    limit: list_query.Limit = list_query.DEFAULT_LIMIT
    cursor: Annotated[str, Meta(min_length=1, max_length=500, description="`next` of the last read")] | None = None


class Erasures(msgspec.Struct, frozen=True):
    """One page of the feed, oldest first. `next` is always there: keep it, and ask again with it."""

    items: list[Erasure]
    next: str
    more: bool


async def erasures(request: web.Request) -> web.StreamResponse:
    """List the dialogs that were erased, in the order in which they were: what you have of them must go.

    To ask with a cursor says that everything before it has arrived.
    """
    asked = parameters.convert(parameters.single(request), Following)
    principal, service = request[PRINCIPAL], request.app[SERVICE]
    after = 0 if asked.cursor is None else service.cursors.marked(asked.cursor, _FEED, principal.purposes)
    page = await service.feed.read(after, asked.limit, principal.read_scope, of_everyone=principal.may("privacy"))
    return json(Erasures(page.items, service.cursors.mark(_FEED, principal.purposes, page.place), page.more))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/erasures",
        erasures,
        scopes=("data:read",),
        query=Following,
        answers=(Answer({bodies.JSON: Erasures}),),
        refusals=(errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.EXPORTS,
        operation="exports_erasures",
    ),
)
