"""The pipeline of every HTTP request.

    error_pages.show         turns problem documents into pages for people whose browser goes to an address
    answer (middleware)      refuses foreign pages without authentication, answers CORS preflights,
      └─ guarded handler     authenticates the caller and checks the route's scopes
           └─ handler        raises a Refusal, or returns a response
    answer                   turns exceptions into problem documents (RFC 9457) and observes the duration
    protect (on prepare)     adds the request id, security headers and CORS headers to every response

A response that has started cannot become a problem document: `answer` closes the connection instead, so that the client
sees an incomplete response.
"""

import logging
import re
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import msgspec
from aiohttp import HttpVersion11, hdrs, web

from ...access_log.chain import CUSTOMER, Actor
from ...auth.access import Principal
from ...errors import Refusal
from ...service import Service
from ...settings import is_loopback
from ...telemetry.logs import REQUEST, where
from . import cors
from .addresses import address_of
from .authorization import bearer
from .foreign import refuse_foreign, without_port
from .headers import REQUEST_ID
from .problems import HTTP_PROBLEMS, INTERNAL, as_problem, problem, problem_document, respond
from .protection import PROTECTION
from .request_ids import request_id_of
from .route import Handler, Route

SERVICE: Final = web.AppKey("service", Service)
PRINCIPAL: Final = web.RequestKey("principal", Principal)
_REQUEST_ID: Final = web.RequestKey("request id", str)

_PARAMETER: Final = re.compile(r"\{(\w+)\}")


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log: Final = logging.getLogger("consentful.http")


_HTTPS_ALONE: Final = "max-age=31536000"
"""One year (RFC 6797 §6.1). Not sent for loopback names: other programs on the machine use them without HTTPS."""


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    """Register the routes, with HEAD for each GET that allows it, and with a final slash.

    A parameter is a whole segment of the path, whatever is in it; by default aiohttp takes none with braces. Where the
    segment is a route's own, such as `live`, it is no value: `Allow` would name the methods of both routes.
    """
    routes = tuple(routes)
    declared = {route.path for route in routes}
    for route in routes:
        handler = _guarded(route)
        own = _own_segments(route.path, declared)
        _add(app, route, route.path, handler, own)
        slashed = route.path + "/"
        if slashed in declared or route.path.endswith("/"):
            continue
        if not _is_page(route):
            _add(app, route, slashed, handler, own)
        elif "{" not in route.path:
            _add(app, route, slashed, _without_slash)


def _own_segments(path: str, declared: Collection[str]) -> list[str]:
    """Return the segments in place of the path's last parameter that are routes of their own."""
    prefix, brace, _ = path.rpartition("{")
    if not brace or not path.endswith("}"):
        return []
    found = (other.removeprefix(prefix) for other in declared if other.startswith(prefix))
    return sorted(segment for segment in found if segment and "/" not in segment and "{" not in segment)


def _add(app: web.Application, route: Route, path: str, handler: Handler, own: Sequence[str] = ()) -> None:
    pattern = _PARAMETER.sub(r"{\1:[^/]+}", path)
    if own:
        before, value, after = pattern.rpartition("[^/]+")
        pattern = f"{before}(?!(?:{'|'.join(map(re.escape, own))})/?$){value}{after}"
    app.router.add_route(route.method, pattern, handler, expect_handler=_expect)
    if route.method == hdrs.METH_GET and route.head:
        app.router.add_route(hdrs.METH_HEAD, pattern, handler, expect_handler=_expect)


def _is_page(route: Route) -> bool:
    return any("text/html" in answer.content for answer in route.answers)


async def _without_slash(request: web.Request) -> web.StreamResponse:
    """Redirect to the page without the final slash: its links are relative to that. The proxy may have a prefix.

    308 keeps the method and the body (RFC 9110 §15.4.9), so a form that was sent here arrives.
    """
    name = request.rel_url.raw_path.rstrip("/").rpartition("/")[2]
    query = request.rel_url.raw_query_string
    return web.Response(status=308, headers={hdrs.LOCATION: f"../{name}" + (f"?{query}" if query else "")})


def _guarded(route: Route) -> Handler:
    """Return the handler, preceded by authentication and the check of the route's scopes."""
    if not route.scopes:
        return route.handler

    async def guarded(request: web.Request) -> web.StreamResponse:
        principal = await request.app[SERVICE].access.authenticate(bearer(request))
        principal.require(*route.scopes)
        request[PRINCIPAL] = msgspec.structs.replace(principal, request=id_of(request))
        return await route.handler(request)

    return guarded


def id_of(request: web.Request) -> str:
    """Return the request's id, determined at the first call; see `request_ids`."""
    if _REQUEST_ID not in request:
        request[_REQUEST_ID] = request_id_of(request, request.app[SERVICE].settings)
    return request[_REQUEST_ID]


def client_address(request: web.Request) -> str | None:
    """Return the client's address; see `address_of`."""
    return address_of(request, request.app[SERVICE].settings)


def by_customer(request: web.Request) -> Actor:
    """Return the actor of a request that is authorised by a withdrawal code."""
    return msgspec.structs.replace(CUSTOMER, request=id_of(request))


@web.middleware
async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn exceptions of the handler into problem documents."""
    began, request_id = time.perf_counter(), id_of(request)
    REQUEST.set(request_id)
    try:
        refuse_foreign(request, request.app[SERVICE].settings)
        response = cors.preflight(request, request.app[SERVICE].settings) or await handler(request)
    except Refusal as refusal:
        request.app[SERVICE].metrics.refuse(refusal)
        response = problem(refusal, request_id)
    except web.HTTPException as error:
        response = as_problem(error, request_id)
    except (ConnectionError, TimeoutError):
        raise  # the client has disconnected: there is no one to send a response to
    except Exception as error:  # noqa: BLE001 - an internal error must not reach the client as a traceback
        request.app[SERVICE].metrics.fail()
        _log.error("request failed", extra={"route": route_of(request)} | where(error))
        response = respond(problem_document(500, *INTERNAL, request_id=request_id))
    if request.writer.output_size and not response.prepared and request.transport is not None:
        # The handler failed after it had sent part of a response. Sending more could make that part look complete.
        request.transport.close()
    request.app[SERVICE].metrics.requests.labels(method_of(request), route_of(request), response.status).observe(
        time.perf_counter() - began
    )
    return response


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Add the request id, the security headers and the CORS headers to a response, before its head is sent."""
    response.headers[REQUEST_ID] = id_of(request)
    for name, value in PROTECTION.items():
        response.headers.setdefault(name, value)
    if request.secure and not is_loopback(without_port(request.host.lower())):
        response.headers[hdrs.STRICT_TRANSPORT_SECURITY] = _HTTPS_ALONE
    cors.share(request, response, request.app[SERVICE].settings.allow_origin)


def route_of(request: web.Request) -> str:
    """Return the route's pattern. Paths contain ids, which must not be in logs and metrics."""
    resource = request.match_info.route.resource
    return (resource.canonical.rstrip("/") or "/") if resource else "unmatched"


def method_of(request: web.Request) -> str:
    """Return the method, or `other`: a client may send any word as a method."""
    return request.method if request.method in _METHODS else "other"


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """Answer `Expect: 100-continue` (RFC 9110 §10.1.1). Refuse other expectations, without quoting them."""
    if request.headers[hdrs.EXPECT].lower() != "100-continue":
        return respond(problem_document(417, *HTTP_PROBLEMS[417], request_id=id_of(request)))
    if request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    return None


def json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a value as JSON, with `Cache-Control: no-store`: the response is for this caller only."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        charset="utf-8",
        headers={hdrs.CACHE_CONTROL: "no-store"} | (headers or {}),
    )
