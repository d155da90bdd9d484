"""The access log: who read, erased or changed what, when, and whose data a credential saw (GDPR art. 32, 33)."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from consentful import wire

from ... import errors
from ...access_log.chain import Action
from ...access_log.store import Trace
from ...access_log.views import LogEntry, SeenDialog
from ...errors import BadRequest
from ..http import bodies, list_query, paging, parameters, tags
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route

_ENTRIES: Final = "access log"
_DIALOGS: Final = "access log: dialogs"

Who = Annotated[str, Meta(min_length=1, max_length=200, description="the name of a credential")]
Since = Annotated[datetime, Meta(tz=True, description="done at or after; RFC 3339 with an offset")]
Until = Annotated[datetime, Meta(tz=True, description="done before; RFC 3339 with an offset")]


class Tracing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the dialogs that somebody saw may be asked for by."""

    who: Who | None = None
    since: Since | None = None
    until: Until | None = None
    limit: list_query.Limit = list_query.DEFAULT_LIMIT
    cursor: list_query.Cursor | None = None


class LogListing(Tracing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the log may be asked for in its URL."""

    action: Annotated[Action, Meta(description="what was done")] | None = None


class LogSearch(LogListing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it may be asked for in a body only, because URLs are logged: a customer's dialogs, or one dialog."""

    customer: list_query.Pseudonym | None = None
    customer_id: wire.CustomerId | None = None
    dialog_id: wire.DialogId | None = None

    def __repr__(self) -> str:
        return "LogSearch(…)"


class LogPage(msgspec.Struct, frozen=True):
    """One page of the log, newest first. `head` proves later, with `consentful verify --log`, that nothing changed."""

    items: list[LogEntry]
    next: str | None
    head: str


class SeenDialogs(msgspec.Struct, frozen=True):
    """One page of the dialogs that were seen, in the order in which they were stored.

    `unfinished` are streams that run or that a crash cut off: their entry in the log tells filter and watermark,
    and so what they can have shown at most.
    """

    items: list[SeenDialog]
    next: str | None
    unfinished: list[str]


async def entries(request: web.Request) -> web.StreamResponse:
    """List what was done, newest first."""
    asked = parameters.convert(parameters.single(request), LogListing)
    page = await _page(request, asked, {})
    headers = {} if page.next is None else paging.next_link(request, cursor=page.next)
    return json(page, headers=headers)


async def search(request: web.Request) -> web.StreamResponse:
    """List what was done with the dialogs of one customer, or with one dialog, newest first.

    A page may be empty while `next` is set: each looks at a bounded number of entries.
    """
    asked = parameters.convert(await bodies.object_of(request), LogSearch, spelt=())
    customer = asked.customer
    if asked.customer_id is not None:
        customer = request.app[SERVICE].archive.pseudonym(asked.customer_id)
        if asked.customer not in (None, customer):
            raise BadRequest("customer_id", "is another customer than `customer`")
    about = {"customer": customer, "dialog_id": asked.dialog_id}
    return json(await _page(request, asked, {name: value for name, value in about.items() if value is not None}))


async def dialogs(request: web.Request) -> web.StreamResponse:
    """List the dialogs that were seen, by whom and when the parameters say: whose data a leaked key gave away."""
    asked = parameters.convert(parameters.single(request), Tracing)
    service, principal = request.app[SERVICE], request[PRINCIPAL]
    wanted = _wanted(asked)
    after = 0 if asked.cursor is None else service.cursors.marked(asked.cursor, _DIALOGS, wanted)
    sighting = await service.access_log.seen(
        Trace(asked.who, None, asked.since, asked.until), after=after, limit=asked.limit
    )
    await service.access_log.write(principal.actor, "log.read", wanted=wanted, rows=len(sighting.dialogs))
    following = None if sighting.after is None else service.cursors.mark(_DIALOGS, wanted, sighting.after)
    return json(SeenDialogs(sighting.dialogs, following, sighting.unfinished))


async def _page(request: web.Request, asked: LogListing, about: dict[str, str]) -> LogPage:
    service, principal = request.app[SERVICE], request[PRINCIPAL]
    wanted = _wanted(asked) | about
    access_log, cursors = service.access_log, service.cursors
    found = await access_log.search(
        Trace(asked.who, asked.action, asked.since, asked.until),
        limit=asked.limit,
        before=None if asked.cursor is None else cursors.marked(asked.cursor, _ENTRIES, wanted),
        about=await access_log.dialogs_of(about.get("customer"), about.get("dialog_id")) if about else None,
    )
    await access_log.write(principal.actor, "log.read", wanted=wanted, rows=len(found.items))
    after = None if found.before is None else cursors.mark(_ENTRIES, wanted, found.before)
    return LogPage(found.items, after, str(await access_log.head()))


def _wanted(asked: Tracing) -> dict[str, Any]:
    """Return what was asked for, without how much of it, and without a customer's id."""
    given = msgspec.to_builtins(asked)
    return {name: given[name] for name in ("who", "action", "since", "until") if given.get(name) is not None}


ROUTES: Final = (
    Route(
        "GET",
        "/v1/access-log",
        entries,
        scopes=("privacy",),
        query=LogListing,
        answers=(Answer({bodies.JSON: LogPage}, headers=(hdrs.LINK,)),),
        refusals=(errors.StorageFailed, errors.OutcomeUnknown),
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
        refusals=(errors.StorageFailed, errors.OutcomeUnknown),
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
        refusals=(errors.StorageFailed, errors.OutcomeUnknown),
        tag=tags.ACCESS_LOG,
        operation="access_log_dialogs",
    ),
)
