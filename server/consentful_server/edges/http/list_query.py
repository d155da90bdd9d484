"""The parameters of a list: filters, order, limit and cursor, from a URL's query or a JSON body."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

import msgspec
from aiohttp import web
from msgspec import Meta

from consentful import wire

from ...annotations.remark import Label, Review
from ...archive.query import MAX_LIMIT, Filter, Order, language_range
from ...archive.views import Extra, Roles
from ...auth.access import Principal
from ...errors import BadRequest, Forbidden
from ...exports.formats import MEDIA
from ...keys.pseudonyms import PATTERN
from ...service import Service
from . import bodies
from .parameters import convert, of_url, refuse_in_url

S = TypeVar("S", bound=msgspec.Struct)
Q = TypeVar("Q", bound="ListQuery")
B = TypeVar("B", "Search", "DialogSearch")

DEFAULT_LIMIT: Final = 100

Range = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        description="BCP 47 language range, case-insensitive: `en` matches `en-GB`, `*` matches every language",
    ),
]
Since = Annotated[datetime, Meta(tz=True, description="received at or after this time; RFC 3339 with an offset")]
Until = Annotated[datetime, Meta(tz=True, description="received before this time; RFC 3339 with an offset")]
_FORMAT: Final = Meta(
    description="the response format; replaces the Accept header; an unavailable format is a 406",
    extra_json_schema={"enum": ["json", *MEDIA]},
)
_AFTER: Final = (
    "resume an interrupted stream after the last complete row: `seq@dialog_id` of a message, or a dialog's id alone;"
    " requires `order=stored`"
)
_ByTime = Annotated[
    Literal["newest", "stored"],
    Meta(description="`newest`: by `received_at`, newest first; `stored`: by commit, oldest first"),
]
Words = Annotated[
    str, Meta(min_length=1, max_length=1000, description="text that a message contains, case-insensitive")
]
DialogIds = Annotated[
    tuple[wire.DialogId, ...], Meta(min_length=1, max_length=MAX_LIMIT, description="one of these dialogs")
]
Pairs = Annotated[
    dict[wire.MetadataKey, Annotated[str, Meta(max_length=4096)]],
    Meta(min_length=1, max_length=16, description="the dialog's metadata has all these pairs"),
]
MAX_SEED: Final = 2**53 - 1
"""The largest integer that every JSON parser reads as it is (RFC 8259 §6)."""

_DIALOG_ORDER: Final = (
    "`newest`: by `received_at`, newest first; `stored`: by commit, oldest first; `longest` and `shortest`: by number"
    " of messages, not with `language`, `role`, `bot` or `purpose`; `random`: shuffled by `seed`, not for streams"
)
_EXTRAS_PATTERN: Final = r"^({0})(,({0}))*$(?!\n)".format("|".join(get_args(Extra)))
_INCLUDE: Final = (
    "comma-separated: `first_text`, the beginning of the first message, at most 200 characters; `metadata`;"
    " `annotations`, those that match the filters. Not for streams"
)
_INCLUDE_OF_MESSAGES: Final = "`metadata`: each message has the metadata of its dialog. Only for pages of messages"
Pseudonym = Annotated[str, Meta(pattern=PATTERN, description="the customer's pseudonym")]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="maximum number of items on a page")]
Annotator = Annotated[str, Meta(min_length=1, max_length=300, description="the credential that wrote the annotation")]
Cursor = Annotated[
    str, Meta(min_length=1, max_length=500, description="`next` of the previous page, with the same filters")
]


class ListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The filters and paging parameters of a list."""

    language: Range | None = None
    customer: Pseudonym | None = None
    dialog_id: wire.DialogId | None = None
    role: Annotated[wire.Role, Meta(description="said by the customer, by the chatbot, or by a human agent")] | None = (
        None
    )
    bot: Annotated[str, Meta(min_length=1, max_length=200, description="the chatbot's name")] | None = None
    purpose: wire.Label | None = None
    label: Annotated[Label, Meta(description="annotated with this label")] | None = None
    review: Annotated[Review, Meta(description="annotated with this review status")] | None = None
    annotator: Annotator | None = None
    since: Since | None = None
    until: Until | None = None
    order: Order = "newest"
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class StreamQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a list that can also be streamed in other formats."""

    format: Annotated[str, _FORMAT] | None = None
    bom: Annotated[
        bool,
        Meta(
            description="begin CSV with a byte order mark, which Excel needs to read UTF-8; no effect on other formats"
        ),
    ] = False


class DialogQuery(StreamQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a list of dialogs."""

    order: Annotated[Order, Meta(description=_DIALOG_ORDER)] = "newest"
    include: Annotated[str, Meta(pattern=_EXTRAS_PATTERN, description=_INCLUDE)] | None = None
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED, description="of `order=random`: the same seed, the same order")] = 0

    @property
    def extras(self) -> frozenset[Extra]:
        """What each dialog of a page shows beyond what lists always show."""
        names = set((self.include or "").split(","))
        return frozenset(extra for extra in get_args(Extra) if extra in names)


class AnnotationQuery(StreamQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a list of annotations: those of their dialogs, and their own."""

    order: _ByTime = "newest"


class MessageQuery(StreamQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a list of messages."""

    order: _ByTime = "newest"
    include: Annotated[Literal["metadata"], Meta(description=_INCLUDE_OF_MESSAGES)] | None = None
    shape: Annotated[
        Literal["messages", "chat"],
        Meta(description="`messages`: one row per message; `chat`: one row per dialog, with its `messages`"),
    ] = "messages"
    roles: Annotated[
        Roles,
        Meta(
            description="of `chat`: `user/assistant`, as chat templates name them (agents are assistants, too); or"
            " `customer/bot`, as stored, with `agent`"
        ),
    ] = "user/assistant"
    after: Annotated[str, Meta(pattern=r"^(\d{1,9}@)?[A-Za-z0-9._~:-]{1,200}$(?!\n)", description=_AFTER)] | None = None

    @property
    def extras(self) -> frozenset[Extra]:
        """What each message of a page shows beyond what lists always show."""
        return frozenset() if self.include is None else frozenset([self.include])


class Search(MessageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a search for messages, which come in the body: values that tell of a person are never in a URL,
    because URLs are logged.
    """

    q: Words | None = None
    customer_id: wire.CustomerId | None = None
    """Requires the scope `data:identify`."""
    dialog_ids: DialogIds | None = None
    metadata: Pairs | None = None

    def __repr__(self) -> str:
        return "Search(…)"


class DialogSearch(DialogQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a search for dialogs, which come in the body."""

    q: Words | None = None
    customer_id: wire.CustomerId | None = None
    """Requires the scope `data:identify`."""
    dialog_ids: DialogIds | None = None
    metadata: Pairs | None = None

    def __repr__(self) -> str:
        return "DialogSearch(…)"


_ONLY_IN_A_BODY: Final = frozenset({"q", "customer_id", "dialog_ids", "metadata"})


def from_url(request: web.Request, kind: type[Q]) -> Q:
    """Return the parameters of the URL.

    Raises:
        BadRequest: If a parameter is unknown, malformed or repeated. The error names it.
    """
    values = of_url(request)
    for name in _ONLY_IN_A_BODY.intersection(values):
        search = "/v1/dialogs:search" if kind is DialogQuery else "/v1/messages/search"
        raise BadRequest(name, f"not accepted in a URL, because URLs are logged; use POST {search}")
    return convert(values, kind)


async def from_body(request: web.Request, kind: type[B]) -> B:
    """Return the parameters of a JSON body.

    Raises:
        BadRequest: If a field is unknown or malformed, or a parameter stands in the URL. The error names it.
        WrongMediaType: If the body is not JSON.
    """
    refuse_in_url(request)
    return convert(await bodies.object_of(request), kind, numbers_as_text=())


def to_filter(query: ListQuery, principal: Principal, service: Service) -> Filter:
    """Return the filter that the rows must match. A `customer_id` becomes its pseudonym, an annotation its terms.

    Raises:
        Forbidden: If the query has a `customer_id` and the caller lacks the scope `data:identify`.
        BadRequest: If the language is not a language range, or `customer` and `customer_id` differ.
    """
    customer = query.customer
    sealed: dict[str, Any] = {}
    if isinstance(query, DialogQuery) and query.order == "random":
        sealed["seed"] = query.seed
    if isinstance(query, Search | DialogSearch):
        sealed |= {"q": query.q, "metadata": query.metadata, "dialog_ids": query.dialog_ids}
        if query.customer_id is not None:
            if not principal.may("data:identify"):
                needed = "the scope data:identify to filter by customer_id; filter by the pseudonym instead"
                raise Forbidden(needed, scope="data:identify")
            pseudonym = service.archive.pseudonym(query.customer_id)
            if customer not in (None, pseudonym):
                raise BadRequest("customer_id", "must be the same customer as `customer`; send one of the two")
            customer = pseudonym
    terms = service.annotations.terms
    wanted = terms.wanted(label=query.label, review=query.review, annotator=query.annotator)
    if isinstance(query, AnnotationQuery) and not wanted:
        wanted = (terms.any,)
    return Filter(
        language=None if query.language is None else language_range(query.language),
        customer=customer,
        dialog_id=query.dialog_id,
        role=query.role,
        bot=query.bot,
        purpose=query.purpose,
        since=query.since,
        until=query.until,
        label=query.label,
        review=query.review,
        annotator=query.annotator,
        terms=wanted,
        **sealed,
    )
