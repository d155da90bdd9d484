"""`/v1/retention`: how many dialogs expire on which day (GDPR art. 5(1)(e))."""

from typing import Final, Literal

import msgspec
from aiohttp import web

from ...archive.store import ExpiryDay
from ...clock import to_micros
from ..http import bodies, tags
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route
from .health import HOUSEKEEPING


class RetentionCalendar(msgspec.Struct, frozen=True):
    """The days (UTC) on which stored dialogs expire, the earliest first, and how many on each.

    `overdue` dialogs have expired and are not erased yet: the server does so every hour, unless `purge` is `halted`
    because its clock cannot be trusted.
    """

    items: list[ExpiryDay]
    overdue: int
    purge: Literal["running", "halted"]


async def calendar(request: web.Request) -> web.StreamResponse:
    """Count the dialogs that expire on each day.

    Refused to a key that is bound to purposes: the calendar counts dialogs of every purpose.
    """
    request[PRINCIPAL].require_unbound("the calendar counts dialogs of every purpose")
    service = request.app[SERVICE]
    dialogs, purges = service.store.dialogs, request.app[HOUSEKEEPING].purges
    overdue = await dialogs.count_expired(to_micros(service.clock.now()))
    return json(RetentionCalendar(await dialogs.expiring(), overdue, "running" if purges else "halted"))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/retention",
        calendar,
        scopes=("privacy",),
        answers=(Answer({bodies.JSON: RetentionCalendar}),),
        tag=tags.PRIVACY,
        operation="officer_retention",
    ),
)
