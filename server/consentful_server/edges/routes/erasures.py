"""`/v1/erasures`: the feed of erased dialogs, for recipients who keep copies (GDPR art. 19)."""

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
    """The paging parameters of the feed."""

    limit: list_query.Limit = list_query.DEFAULT_LIMIT
    cursor: Annotated[str, Meta(min_length=1, max_length=500, description="`next` of the previous page")] | None = None


class Erasures(msgspec.Struct, frozen=True):
    """One page of the feed, oldest first. `next` is always present: save it, and send it with the next request.

    `more` is true if further erasures can be read now.
    """

    items: list[Erasure]
    next: str
    more: bool


async def erasures(request: web.Request) -> web.StreamResponse:
    """List erased dialogs, in the order of their erasure. Delete your copies of them.

    Sending a cursor confirms that you have processed everything before it.
    """
    query = parameters.convert(parameters.of_url(request), Following)
    principal, service = request[PRINCIPAL], request.app[SERVICE]
    after = 0 if query.cursor is None else service.cursors.marked(query.cursor, _FEED, principal.purposes)
    page = await service.feed.read(after, query.limit, principal.read_scope, of_everyone=principal.may("privacy"))
    return json(Erasures(page.items, service.cursors.mark(_FEED, principal.purposes, page.place), page.more))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/erasures",
        erasures,
        scopes=("data:read",),
        query=Following,
        answers=(Answer({bodies.JSON: Erasures}),),
        refusals=(errors.Restored, errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.EXPORTS,
        operation="exports_erasures",
    ),
)
