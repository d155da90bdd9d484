"""`/ops` and `/v1/operations`: the service at one moment, and as it goes on."""

import asyncio
from typing import Final

import msgspec
from aiohttp import hdrs, web

from ... import errors
from ...errors import TokenExpired
from ...operations.overview import Overview, shown_settings
from ...operations.overviews import Overviews
from ..http import tags
from ..http.bodies import JSON
from ..http.pipeline import PRINCIPAL, SERVICE, json
from ..http.route import Answer, Route
from .pages import page

OVERVIEWS: Final = web.AppKey("overviews", Overviews)
EVENTS: Final = "text/event-stream"
_EVERY_S: Final = 2.0


class Operations(msgspec.Struct, frozen=True):
    """The service at this moment, and its effective settings, without secrets."""

    now: Overview
    settings: dict[str, str]


async def ops(request: web.Request) -> web.StreamResponse:
    """Return the operators' page. The page itself contains no data."""
    return page(request, "ops.html")


async def operations(request: web.Request) -> web.StreamResponse:
    """Return the state of the service: of all its workers, whichever of them answers."""
    now = await request.app[OVERVIEWS].latest()
    return json(Operations(now, shown_settings(request.app[SERVICE].settings)))


async def events(request: web.Request) -> web.StreamResponse:
    """Send the state of the service every two seconds as an event of Server-Sent Events (WHATWG HTML §9.2).

    The stream ends when the server drains, and when the credential is no longer valid. A client that reads nothing is
    cut off after 30 s, as every other.
    """
    service, overviews = request.app[SERVICE], request.app[OVERVIEWS]
    with overviews:
        now = await overviews.latest()  # what is refused is refused before the head is sent
        headers = {hdrs.CONTENT_TYPE: EVENTS, hdrs.CACHE_CONTROL: "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        while True:
            await response.write(b"data: " + msgspec.json.encode(now) + b"\n\n")
            if service.is_draining:
                return response
            await asyncio.sleep(_EVERY_S)
            try:
                await service.access.recheck(request[PRINCIPAL])
            except TokenExpired:
                return response  # the client comes again, and is told
            now = await overviews.latest()


ROUTES: Final = (
    Route("GET", "/ops", ops, answers=(Answer({"text/html": str}),), tag=tags.PAGES, operation="pages_ops"),
    Route(
        "GET",
        "/v1/operations",
        operations,
        scopes=("operate",),
        answers=(Answer({JSON: Operations}),),
        refusals=(errors.Overloaded,),
        tag=tags.PAGES,
        operation="operations_now",
    ),
    Route(
        "GET",
        "/v1/operations/events",
        events,
        scopes=("operate",),
        head=False,
        answers=(Answer({EVENTS: str}),),
        refusals=(errors.Overloaded,),
        tag=tags.PAGES,
        operation="operations_events",
    ),
)
