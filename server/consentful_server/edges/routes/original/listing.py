"""`GET /data` and `GET /data/`: the stored messages, newest first, as a plain array."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from consentful import wire

from ....archive.opening import Opened
from ....archive.query import Filter
from ....archive.store import MessageRow
from ....clock import from_micros
from ....consent.language import label
from ....dialogs.pushed import AnyLanguage
from ....errors import BadRequest, Restored
from ...http import bodies, paging, tags
from ...http.list_query import DEFAULT_LIMIT, Cursor, Limit
from ...http.parameters import convert, of_url
from ...http.pipeline import PRINCIPAL, SERVICE, json
from ...http.route import Answer, Route


class Datum(msgspec.Struct, frozen=True, rename="camel"):
    """One stored message, in the original contract's form. `language` is as the chatbot sent it."""

    customer_id: str
    dialog_id: str
    text: str
    language: str | None
    timestamp: datetime

    def __repr__(self) -> str:
        return f"Datum(dialog_id={self.dialog_id!r})"


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The filters and paging parameters of the list. Chatbots use both spellings of the customer id."""

    language: AnyLanguage | None = None
    customerId: wire.CustomerId | None = None  # noqa: N815 - the original spelling
    customer_id: wire.CustomerId | None = None
    limit: Limit = DEFAULT_LIMIT
    offset: Annotated[
        int, Meta(ge=0, le=2**53, description="number of the newest messages to skip; repeats some while others arrive")
    ] = 0
    cursor: Cursor | None = None


async def data(request: web.Request) -> web.StreamResponse:
    """List stored messages, newest first."""
    query = convert(of_url(request), Listing)
    archive = request.app[SERVICE].archive
    customer_id = query.customerId or query.customer_id
    if query.customerId and query.customer_id and query.customerId != query.customer_id:
        raise BadRequest("customer_id", "must be the same customer as `customerId`; send one of the two")
    rows = Filter(
        language=None if query.language in (None, "*") else label(query.language),
        customer=None if customer_id is None else archive.pseudonym(customer_id),
    )
    if query.cursor is not None and query.offset:
        raise BadRequest("offset", "must be left out with a `cursor`, which says where the page begins")
    page = await request.app[SERVICE].pages.latest(
        rows,
        request[PRINCIPAL].read_scope,
        limit=query.limit,
        offset=query.offset,
        cursor=query.cursor,
        view=_datum,
    )
    # By a cursor: rows that arrive meanwhile would shift offsets, and the next page would repeat some of this one.
    return json(page.items, headers=paging.next_link(request, cursor=page.next) if page.next else {})


def _datum(opened: Opened, row: MessageRow) -> Datum:
    return Datum(
        customer_id=opened.customer_id,
        dialog_id=opened.dialog_id,
        text=opened.text(row.seq),
        language=opened.spelt(row.seq) or row.language,
        timestamp=from_micros(row.received_at),
    )


_PATHS: Final = ("/data", "/data/")

ROUTES: Final = tuple(
    Route(
        "GET",
        path,
        data,
        scopes=("data:identify",),
        query=Listing,
        answers=(Answer({bodies.JSON: list[Datum]}, headers=(hdrs.LINK,)),),
        refusals=(Restored,),
        tag=tags.ORIGINAL,
        operation="original_data",
    )
    for path in _PATHS
)
