"""A page of a list: its cursor in the body, and linked in a header (RFC 8288)."""

from typing import Any, Generic, TypeVar

import msgspec
from aiohttp import hdrs, web
from multidict import MultiDict

from ...archive.views import Page
from .list_query import Question
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


def page(request: web.Request, question: Question, page: Page[Any]) -> web.Response:
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
