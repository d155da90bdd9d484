"""`/v1/access-log`: who read, erased or changed what, and when; whose data a credential saw; and whether the log was
altered (GDPR art. 32, 33).
"""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from consentful import wire

from ... import errors
from ...access_log.chain import Action, Head
from ...access_log.store import Trace
from ...access_log.verification import read_head
from ...access_log.views import LogEntry, SeenDialog
from ...errors import BadRequest
from ..http import bodies, list_query, paging, parameters, tags
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route

_ENTRIES: Final = "access log"
_DIALOGS: Final = "access log: dialogs"
_VERIFIED: Final = "access log: verified"
_TELLS_ALL: Final = "the log tells of every purpose; search it by customer or dialog"

Who = Annotated[str, Meta(min_length=1, max_length=200, description="the name of a credential")]
Since = Annotated[datetime, Meta(tz=True, description="logged at or after this time; RFC 3339 with an offset")]
Until = Annotated[datetime, Meta(tz=True, description="logged before this time; RFC 3339 with an offset")]

SavedHead = Annotated[
    str,
    Meta(
        max_length=100,
        pattern=r"^\s*[0-9]{1,18}:[0-9a-fA-F]{64}\s*$",
        description="a `head` that was saved earlier; the same in each step",
    ),
]


class Tracing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of the list of dialogs that a credential saw."""

    who: Who | None = None
    since: Since | None = None
    until: Until | None = None
    limit: list_query.Limit = list_query.DEFAULT_LIMIT
    cursor: list_query.Cursor | None = None


class LogListing(Tracing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of the list of entries."""

    action: Annotated[Action, Meta(description="the logged action")] | None = None


class LogSearch(LogListing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a search by customer or dialog. They come in the body, because URLs are logged."""

    customer: list_query.Pseudonym | None = None
    customer_id: wire.CustomerId | None = None
    dialog_id: wire.DialogId | None = None

    def __repr__(self) -> str:
        return "LogSearch(…)"


class LogPage(msgspec.Struct, frozen=True):
    """One page of the log, newest first.

    `head` is the log's latest link. Save it: a verification later proves that no entry up to it changed.
    """

    items: list[LogEntry]
    next: str | None
    head: str


class SeenDialogs(msgspec.Struct, frozen=True):
    """One page of the dialogs that were seen, in the order in which they were stored.

    `unfinished` lists streams without a final entry, because they are running or a crash interrupted them. Their first
    entry has the filter and the watermark, which bound the dialogs that they can have sent.
    """

    items: list[SeenDialog]
    next: str | None
    unfinished: list[str]


class Verifying(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a verification of the whole log."""

    head: SavedHead | None = None
    cursor: list_query.Cursor | None = None


class LogVerification(msgspec.Struct, frozen=True, kw_only=True):
    """How far the log was verified.

    The chain of the first `verified` of `entries` entries is intact, up to `head`. With `next`, the verification goes
    on: send it as `cursor`. Without `next` it ended, at the time `at`: the whole log is unaltered if `fault` is null;
    otherwise `fault` says what was altered first.
    """

    verified: int
    entries: int
    head: str
    at: datetime
    fault: str | None
    next: str | None


async def entries(request: web.Request) -> web.StreamResponse:
    """List the entries of the access log, newest first.

    Refused to a key that is bound to purposes: the log tells of every purpose.
    """
    request[PRINCIPAL].require_unbound(_TELLS_ALL)
    query = parameters.convert(parameters.of_url(request), LogListing)
    page = await _page(request, query, {})
    headers = {} if page.next is None else paging.next_link(request, cursor=page.next)
    return json(page, headers=headers)


async def search(request: web.Request) -> web.StreamResponse:
    """List the entries about one customer's dialogs, or about one dialog, newest first.

    A page can be empty while `next` is set: each request examines a bounded number of entries. With a key that is bound
    to purposes, only dialogs that were granted for one of them are looked for.
    """
    parameters.refuse_in_url(request)
    query = parameters.convert(await bodies.object_of(request), LogSearch, numbers_as_text=())
    customer = query.customer
    if query.customer_id is not None:
        customer = request.app[SERVICE].archive.pseudonym(query.customer_id)
        if query.customer not in (None, customer):
            raise BadRequest("customer_id", "must be the same customer as `customer`; send one of the two")
    about = {"customer": customer, "dialog_id": query.dialog_id}
    if not any(about.values()):
        request[PRINCIPAL].require_unbound(_TELLS_ALL)
    return json(await _page(request, query, {name: value for name, value in about.items() if value is not None}))


async def dialogs(request: web.Request) -> web.StreamResponse:
    """List the dialogs that a credential saw between two times, for example with a key that was leaked.

    A key that is bound to purposes sees the dialogs that were granted for one of them.
    """
    query = parameters.convert(parameters.of_url(request), Tracing)
    service, principal = request.app[SERVICE], request[PRINCIPAL]
    filters = _filters(query)
    after = 0 if query.cursor is None else service.cursors.marked(query.cursor, _DIALOGS, filters)
    seen = await service.access_log.seen(
        Trace(query.who, None, query.since, query.until),
        after=after,
        limit=query.limit,
        covers=principal.read_scope.covers,
    )
    await service.access_log.write(principal.actor, "log.read", wanted=filters, rows=len(seen.dialogs))
    following = None if seen.after is None else service.cursors.mark(_DIALOGS, filters, seen.after)
    return json(SeenDialogs(seen.dialogs, following, seen.unfinished))


async def verify(request: web.Request) -> web.StreamResponse:
    """Verify the log, one step of up to 10,000 entries: no entry was altered, removed, inserted or moved.

    With `head`, a head that was saved earlier, also an older copy of the whole log is found. The end of a verification
    is logged. Refused to a key that is bound to purposes: the log tells of every purpose.
    """
    service, principal = request.app[SERVICE], request[PRINCIPAL]
    principal.require_unbound(_TELLS_ALL)
    query = parameters.convert(await bodies.object_of(request), Verifying, numbers_as_text=())
    anchor = None if query.head is None else read_head(query.head)
    wanted, start = query.head, Head()
    if query.cursor is not None:
        number, link = service.cursors.marked_key(query.cursor, _VERIFIED, wanted)
        start = Head(number, bytes.fromhex(link))
    found = await service.log_verifier.step(start, anchor)
    following: str | None = None
    if found.more:
        following = service.cursors.mark_key(_VERIFIED, wanted, found.head.number, found.head.link.hex())
    else:
        await service.access_log.write(principal.actor, "log.verified", rows=found.entries)
    return json(
        LogVerification(
            verified=found.entries,
            entries=found.last,
            head=str(found.head),
            at=service.clock.now(),
            fault=found.fault,
            next=following,
        )
    )


async def _page(request: web.Request, query: LogListing, about: dict[str, str]) -> LogPage:
    service, principal = request.app[SERVICE], request[PRINCIPAL]
    filters = _filters(query) | about
    access_log, cursors, covers = service.access_log, service.cursors, principal.read_scope.covers
    found = await access_log.search(
        Trace(query.who, query.action, query.since, query.until),
        limit=query.limit,
        before=None if query.cursor is None else cursors.marked(query.cursor, _ENTRIES, filters),
        about=await access_log.dialogs_of(about.get("customer"), about.get("dialog_id"), covers) if about else None,
    )
    await access_log.write(principal.actor, "log.read", wanted=filters, rows=len(found.items))
    after = None if found.before is None else cursors.mark(_ENTRIES, filters, found.before)
    return LogPage(found.items, after, str(await access_log.head()))


def _filters(query: Tracing) -> dict[str, Any]:
    """Return the filters that the cursor and the log's own entry record: no limit, no cursor, no customer id."""
    given = msgspec.to_builtins(query)
    return {name: given[name] for name in ("who", "action", "since", "until") if given.get(name) is not None}


ROUTES: Final = (
    Route(
        "GET",
        "/v1/access-log",
        entries,
        scopes=("privacy",),
        query=LogListing,
        answers=(Answer({bodies.JSON: LogPage}, headers=(hdrs.LINK,)),),
        refusals=(errors.Restored, errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.ACCESS_LOG,
        operation="access_log_entries",
    ),
    Route(
        "POST",
        "/v1/access-log/search",
        search,
        scopes=("privacy",),
        body={bodies.JSON: LogSearch},
        answers=(Answer({bodies.JSON: LogPage}),),
        refusals=(errors.Restored, errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.ACCESS_LOG,
        operation="access_log_search",
    ),
    Route(
        "GET",
        "/v1/access-log/dialogs",
        dialogs,
        scopes=("privacy",),
        query=Tracing,
        answers=(Answer({bodies.JSON: SeenDialogs}),),
        refusals=(errors.Restored, errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.ACCESS_LOG,
        operation="access_log_dialogs",
    ),
    Route(
        "POST",
        "/v1/access-log/verify",
        verify,
        scopes=("privacy",),
        body={bodies.JSON: Verifying},
        answers=(Answer({bodies.JSON: LogVerification}),),
        refusals=(errors.Restored, errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.ACCESS_LOG,
        operation="access_log_verify",
    ),
)
