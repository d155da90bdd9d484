"""What every HTTP request goes through: scopes are checked, refusals become problem documents, headers protect."""

import logging
import time
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from aiohttp import HttpVersion11, hdrs, web

from consentful.identifiers import uuid7

from ...access_log.chain import CUSTOMER, Actor
from ...auth.access import Principal
from ...errors import Forbidden, Refusal
from ...service import Service
from ...settings import is_loopback
from ...telemetry import where
from . import cors
from .headers import REQUEST_ID
from .problems import HTTP_PROBLEMS, INTERNAL, as_problem, described, problem, respond
from .protection import PROTECTION
from .route import Handler, Route

SERVICE: Final = web.AppKey("service", Service)
PRINCIPAL: Final = web.RequestKey("principal", Principal)
_REQUEST_ID: Final = web.RequestKey("request id", str)

_SAFE: Final = (hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS)
_ELSEWHERE: Final = ("cross-site", "same-site")


_log: Final = logging.getLogger("consentful.http")


_HTTPS_ALONE: Final = "max-age=31536000"
"""For a year (RFC 6797 §6.1); never for a laptop's own name, which other programs serve as well."""


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    for route in routes:
        handler = _guarded(route)
        app.router.add_route(route.method, route.path, handler, expect_handler=_expect)
        if route.method == hdrs.METH_GET and route.head:
            app.router.add_route(hdrs.METH_HEAD, route.path, handler, expect_handler=_expect)


def _guarded(route: Route) -> Handler:
    """Return the handler behind its scopes."""
    if not route.scopes:
        return route.handler

    async def guarded(request: web.Request) -> web.StreamResponse:
        principal = await request.app[SERVICE].access.authenticate(bearer(request))
        principal.require(*route.scopes)
        request[PRINCIPAL] = msgspec.structs.replace(principal, request=id_of(request))
        return await route.handler(request)

    return guarded


def id_of(request: web.Request) -> str:
    """Return the request's id, made when it is first asked for: the access log names it, and so does the answer."""
    if _REQUEST_ID not in request:
        request[_REQUEST_ID] = str(uuid7())
    return request[_REQUEST_ID]


def by_customer(request: web.Request) -> Actor:
    """Return the customer who came with a code."""
    return msgspec.structs.replace(CUSTOMER, request=id_of(request))


def bearer(request: web.Request) -> str | None:
    """Return the token of `Authorization: Bearer …` (RFC 6750 §2.1)."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


@web.middleware
async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into a problem document."""
    began = time.perf_counter()
    try:
        _refuse_foreign(request)
        response = cors.preflight(request, request.app[SERVICE].settings.allow_origin) or await handler(request)
    except Refusal as refusal:
        response = problem(refusal)
    except web.HTTPException as error:
        response = as_problem(error)
    except (ConnectionError, TimeoutError):
        raise  # nobody is there to be answered
    except Exception as error:  # noqa: BLE001 - a fault of ours must not reach the client as a traceback
        _log.error("request failed", extra={"route": route_of(request), "request": id_of(request)} | where(error))
        response = respond(described(500, *INTERNAL))
    if request.writer.output_size and not response.prepared and request.transport is not None:
        request.transport.close()  # a stream broke off in the middle: nothing may follow it and make it look whole
    request.app[SERVICE].metrics.requests.labels(request.method, route_of(request), response.status).observe(
        time.perf_counter() - began
    )
    return response


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Before any answer leaves: see that a browser can do no harm with it, and that it can be found in the log."""
    if _REQUEST_ID in request:
        response.headers[REQUEST_ID] = request[_REQUEST_ID]
    for name, value in PROTECTION.items():
        response.headers.setdefault(name, value)
    if request.secure and not is_loopback(_host_without_port(request.host.lower())):
        response.headers[hdrs.STRICT_TRANSPORT_SECURITY] = _HTTPS_ALONE
    cors.share(request, response, request.app[SERVICE].settings.allow_origin)


def route_of(request: web.Request) -> str:
    """Return the route's pattern: paths hold ids, and ids are not for logs and metrics."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unmatched"


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """Answer `Expect: 100-continue` (RFC 9110 §10.1.1); anything else that is expected is refused, and not shown."""
    if request.headers[hdrs.EXPECT].lower() != "100-continue":
        return respond(described(417, *HTTP_PROBLEMS[417]))
    if request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    return None


def json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a value of ours as JSON. It is one caller's, so nothing in between may keep it."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        charset="utf-8",
        headers={hdrs.CACHE_CONTROL: "no-store"} | (headers or {}),
    )


def _refuse_foreign(request: web.Request) -> None:
    """With no authentication, let no name in but this machine's own, and no page of elsewhere change anything.

    A page could have its name resolve to 127.0.0.1 (DNS rebinding) and pass for the same origin, or post a form here,
    which asks nobody; browsers tell where a request comes from (Fetch Metadata).
    """
    settings = request.app[SERVICE].settings
    if settings.access != "none":
        return
    if (
        request.method not in _SAFE
        and request.headers.get("Sec-Fetch-Site") in _ELSEWHERE
        and request.headers.get(hdrs.ORIGIN) not in settings.allow_origin
    ):
        raise Forbidden("a page of this server's own, because `--auth none` asks nobody for a token")
    if not is_loopback(_host_without_port(request.host.lower())):
        raise Forbidden("a loopback address in the Host header, because `--auth none` serves this machine only")


def _host_without_port(host: str) -> str:
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
