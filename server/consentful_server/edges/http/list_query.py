"""From parameters to a query: filters, order, limit and cursor, out of a URL or a JSON body."""

from datetime import datetime
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta

from consentful import wire

from ...archive.archive import Archive
from ...archive.query import MAX_LIMIT, Filter, Order, language_range
from ...auth.access import Principal
from ...errors import BadRequest, Forbidden
from ...exports.formats import MEDIA
from ...keys.pseudonyms import PATTERN
from . import bodies
from .parameters import convert, single

S = TypeVar("S", bound=msgspec.Struct)
Q = TypeVar("Q", bound="ListQuery")

DEFAULT_LIMIT: Final = 100

Range = Annotated[
    str,
    Meta(min_length=1, max_length=100, description="BCP 47 range, in any case: `en` finds `en-GB`, `*` every language"),
]
Since = Annotated[datetime, Meta(tz=True, description="received at or after; RFC 3339 with an offset")]
Until = Annotated[datetime, Meta(tz=True, description="received before; RFC 3339 with an offset")]
_FORMAT: Final = Meta(
    description="stands in for an Accept header; what is not offered is a 406",
    extra_json_schema={"enum": ["json", *MEDIA]},
)
_AFTER: Final = (
    "goes on with a stream that was cut short, after the last row that arrived: `seq@dialog_id`, or a dialog's id"
    " alone; with `order=stored`"
)
Pseudonym = Annotated[str, Meta(pattern=PATTERN, description="pseudonym")]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="how many a page has at most")]
Cursor = Annotated[
    str, Meta(min_length=1, max_length=500, description="`next` of the page before, for the same filters")
]


class ListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a list may be asked for in its URL."""

    language: Range | None = None
    customer: Pseudonym | None = None
    dialog_id: wire.DialogId | None = None
    role: wire.Role | None = None
    bot: Annotated[str, Meta(min_length=1, max_length=200, description="which chatbot spoke")] | None = None
    purpose: wire.Label | None = None
    since: Since | None = None
    until: Until | None = None
    order: Annotated[Order, Meta(description="by receipt, newest first; or by commit, oldest first")] = "newest"
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class StreamQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same for what also streams in other formats."""

    format: Annotated[str, _FORMAT] | None = None


class DialogQuery(StreamQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What dialogs may be asked for."""


class MessageQuery(StreamQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What messages may be asked for."""

    shape: Annotated[
        Literal["messages", "chat"],
        Meta(description="a row for each message; or for each dialog, with `messages` of `role` and `content`"),
    ] = "messages"
    after: Annotated[str, Meta(pattern=r"^(\d{1,9}@)?[A-Za-z0-9._~:-]{1,200}$(?!\n)", description=_AFTER)] | None = None


class Search(MessageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be asked for in a body only, because URLs are logged."""

    q: Annotated[str, Meta(min_length=1, max_length=1000, description="part of the text, in any case")] | None = None
    customer_id: wire.CustomerId | None = None
    """Needs the scope `data:identify`."""

    def __repr__(self) -> str:
        return "Search(…)"


_ONLY_IN_A_BODY: Final = frozenset({"q", "customer_id"})


def from_url(request: web.Request, kind: type[Q]) -> Q:
    """Return the query in the URL.

    Raises:
        BadRequest: If a parameter is unknown, malformed or there twice; it is named.
    """
    values = single(request)
    for name in _ONLY_IN_A_BODY.intersection(values):
        raise BadRequest(name, "URLs are logged, so this is taken only in the body of POST /v1/messages/search")
    return convert(values, kind)


async def from_body(request: web.Request) -> Search:
    """Return the query in a JSON body.

    Raises:
        BadRequest: If a field is unknown or malformed; it is named.
        WrongMediaType: If the body is not JSON.
    """
    return convert(await bodies.object_of(request), Search, spelt=())


def to_filter(query: ListQuery, principal: Principal, archive: Archive) -> Filter:
    """Return what the rows must be.

    Raises:
        Forbidden: If it names a customer by id and the caller may not know ids.
        BadRequest: If the language is not a range.
    """
    customer = query.customer
    text = None
    if isinstance(query, Search):
        text = query.q
        if query.customer_id is not None:
            if not principal.may("data:identify"):
                raise Forbidden("the scope data:identify to look for a customer_id; use the pseudonym instead")
            pseudonym = archive.pseudonym(query.customer_id)
            if customer not in (None, pseudonym):
                raise BadRequest("customer_id", "is another customer than `customer`")
            customer = pseudonym
    return Filter(
        language=None if query.language is None else language_range(query.language),
        customer=customer,
        dialog_id=query.dialog_id,
        role=query.role,
        bot=query.bot,
        purpose=query.purpose,
        since=query.since,
        until=query.until,
        q=text,
    )
