"""A page of a list: the next page's cursor is in the body, and in a `Link` header (RFC 8288)."""

import asyncio
import re
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from aiohttp import hdrs, web

from ...archive.views import Page
from .list_query import ListQuery
from .pipeline import SERVICE, json

T = TypeVar("T")

_PLACES: Final = ("cursor", "offset")
"""The parameters that say where a page begins."""

_LARGE_BYTES: Final = 64 * 1024

_PLAIN: Final = re.compile(r"([\w.~-]+=[\w.~-]*&)*[\w.~-]+=[\w.~-]*", re.ASCII)
"""A query that is written in one way only; cursors are, too (RFC 3986 §2.3)."""


class Paged(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. `next` is the cursor of the next page, null at the end.

    With `order=stored`, `next` is always present and continues with dialogs stored later; `more` is true if there are
    some already. `damaged` lists dialogs that fail their integrity check: restore them from a backup, or erase them.
    """

    items: list[T]
    next: str | None
    more: bool | msgspec.UnsetType = msgspec.UNSET
    damaged: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


def encoded(items: list[Any]) -> list[msgspec.Raw]:
    """Return items of a page as JSON: one `Raw` of all of them, with the commas between. As an element of a list it is
    written as it is. Made where the items are: to encode them later, on another thread, takes four times as long,
    because they have left the processor's cache.
    """
    return [msgspec.Raw(msgspec.json.encode(items)[1:-1])] if items else []


async def wait_for_turn(page: Page[msgspec.Raw], turns: asyncio.Lock) -> None:
    """Return at once if the page is small; else when no other large one is answered in this turn of the event loop.

    Many pages can be read at the same moment, and to answer a large one takes more than a millisecond: together they
    would keep everybody waiting.
    """
    if sum(map(len, page.items)) >= _LARGE_BYTES:
        async with turns:
            await asyncio.sleep(0)


def page(request: web.Request, query: ListQuery, page: Page[Any]) -> web.Response:
    """Return a page as JSON. The response to a GET links the next page as well."""
    more = page.more if query.order == "stored" else msgspec.UNSET
    body = Paged(page.items, page.next, more, page.damaged or msgspec.UNSET)
    # In commit order `next` is never null. The last page has no link, or a client that follows links would never stop.
    is_linked = page.more and page.next is not None and request.method != hdrs.METH_POST
    return json(body, headers=next_link(request, cursor=page.next or "") if is_linked else {})


def next_link(request: web.Request, *, cursor: str) -> dict[str, str]:
    """Return the `Link` header of the next page (RFC 8288): this URL with the cursor, which says where it begins."""
    raw = request.rel_url.raw_query_string
    if _PLAIN.fullmatch(raw):
        pairs = [pair for pair in raw.split("&") if pair.partition("=")[0] not in _PLACES]
        query = "&".join([*pairs, f"cursor={cursor}"])
    else:
        kept = [(name, value) for name, value in request.query.items() if name not in _PLACES]
        query = urlencode([*kept, ("cursor", cursor)])  # a third of what yarl takes
    address = request.app[SERVICE].settings.address_of(f"{request.rel_url.raw_path}?{query}")
    return {hdrs.LINK: f'<{address}>; rel="next"'}
