"""A page of a list: its cursor in the body, and linked in a header (RFC 8288)."""

from typing import Any, Generic, TypeVar

import msgspec
from aiohttp import hdrs, web
from multidict import MultiDict

from ...archive.views import Page
from .list_query import ListQuery
from .pipeline import json

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


def page(request: web.Request, query: ListQuery, page: Page[Any]) -> web.Response:
    """Return a page; in a URL's list the next one is linked as well."""
    more = page.more if query.order == "stored" else msgspec.UNSET
    body = Paged(page.items, page.next, more, page.damaged or msgspec.UNSET)
    # In commit order there is always a next page: a client that follows links would never come to an end.
    is_linked = page.more and page.next is not None and request.method != hdrs.METH_POST
    return json(body, headers=next_link(request, cursor=page.next or "") if is_linked else {})


def next_link(request: web.Request, **changed: str) -> dict[str, str]:
    """Return the header that leads to the next page (RFC 8288): this URL, with these parameters changed."""
    query = MultiDict(request.query)
    query.update(changed)
    return {hdrs.LINK: f'<{request.rel_url.with_query(query)}>; rel="next"'}
