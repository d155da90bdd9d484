"""What every HTTP request goes through: scopes are checked, refusals become problem documents, headers protect."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from aiohttp import HttpVersion11, hdrs, web

from consentful.identifiers import uuid7

from ..access_log.chain import CUSTOMER, Actor
from ..auth.access import Principal, Scope
from ..errors import BadRequest, Forbidden, Overloaded, Refusal
from ..service import Service
from ..settings import is_loopback
from ..telemetry import where
from . import cors, faults
from .tags import Tag

SERVICE: Final = web.AppKey("service", Service)
PRINCIPAL: Final = web.RequestKey("principal", Principal)
_REQUEST_ID: Final = web.RequestKey("request id", str)

_REQUEST_ID_HEADER: Final = "Request-Id"
_SAFE: Final = (hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS)
_ELSEWHERE: Final = ("cross-site", "same-site")

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log: Final = logging.getLogger("consentful.http")

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PROTECTION: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


_HTTPS_ALONE: Final = "max-age=31536000"
"""For a year (RFC 6797 §6.1); never for a laptop's own name, which other programs serve as well."""

PROBLEM: Final = "application/problem+json"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal (RFC 9457). `code` is stable, `detail` says what to do next, `parameter` names what was malformed."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    parameter: str | msgspec.UnsetType = msgspec.UNSET


HTTP_PROBLEMS: Final[Mapping[int, tuple[str, str]]] = {
    404: ("not_found", "there is no such route; /docs lists them"),
    405: ("method_not_allowed", "this route does not know the method; see the Allow header"),
    408: ("too_slow", "the request did not come to its end in time; send it at once"),
    413: ("too_large", "the body is too large"),
    417: ("bad_request", "expect 100-continue or nothing"),
    431: ("too_large", "the head is too large"),
}
"""What is refused before a handler has a say: code and detail by status."""

INTERNAL: Final = ("internal", "something went wrong here; try again, or look into the server's log")


class Answer(NamedTuple):
    """One answer of a route: the type of its body by media type, its status, and the headers that tell something."""

    content: Mapping[str, Any]
    status: int = 200
    headers: tuple[str, ...] = ()


class Route(NamedTuple):
    """One route, the scopes of which a caller needs one, and what it takes and gives. Without scopes anyone may come.

    What can be got can be asked for with HEAD as well (RFC 9110 §9.1), but for an upgrade. The rest is what the
    OpenAPI document is made of: what scopes, parameters and bodies refuse by themselves is not repeated in `refusals`.
    """

    method: str
    path: str
    handler: Handler
    tag: Tag
    operation: str
    scopes: tuple[Scope, ...] = ()
    head: bool = True
    query: type[msgspec.Struct] | None = None
    headers: Mapping[str, Any] = _NOTHING
    body: Mapping[str, Any] = _NOTHING
    answers: tuple[Answer, ...] = ()
    refusals: tuple[type[Refusal], ...] = ()


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
        response = _respond(described(500, *INTERNAL))
    if request.writer.output_size and not response.prepared and request.transport is not None:
        request.transport.close()  # a stream broke off in the middle: nothing may follow it and make it look whole
    request.app[SERVICE].metrics.requests.labels(request.method, route_of(request), response.status).observe(
        time.perf_counter() - began
    )
    return response


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Before any answer leaves: see that a browser can do no harm with it, and that it can be found in the log."""
    if _REQUEST_ID in request:
        response.headers[_REQUEST_ID_HEADER] = request[_REQUEST_ID]
    for name, value in _PROTECTION.items():
        response.headers.setdefault(name, value)
    if request.secure and not is_loopback(_host_without_port(request.host.lower())):
        response.headers[hdrs.STRICT_TRANSPORT_SECURITY] = _HTTPS_ALONE
    cors.share(request, response, request.app[SERVICE].settings.allow_origin)


def route_of(request: web.Request) -> str:
    """Return the route's pattern: paths hold ids, and ids are not for logs and metrics."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unmatched"


def problem(refusal: Refusal) -> web.Response:
    """Return the refusal as a problem document (RFC 9457)."""
    headers: dict[str, str] = {}
    if isinstance(refusal, Overloaded):
        headers["Retry-After"] = str(refusal.retry_after_s)
    said = problem_of(refusal)
    if said.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="consentful"'
    return _respond(said, headers)


def problem_of(refusal: Refusal) -> Problem:
    """Return what is said of a refusal."""
    parameter = refusal.parameter if isinstance(refusal, BadRequest) else msgspec.UNSET
    return described(faults.fault_of(refusal).status, refusal.code, refusal.detail, parameter)


def described(status: int, code: str, detail: str, parameter: str | msgspec.UnsetType = msgspec.UNSET) -> Problem:
    return Problem(title=_title(status), status=int(status), code=code, detail=detail, parameter=parameter)


def as_problem(error: web.HTTPException) -> web.Response:
    """Return what aiohttp refuses as a problem document, without its text, which quotes."""
    if error.status < 400:
        raise error
    allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    code, detail = HTTP_PROBLEMS.get(error.status, ("bad_request", "the request is malformed"))
    return _respond(described(error.status, code, detail), allow)


def _respond(said: Problem, headers: Mapping[str, str] = _NOTHING) -> web.Response:
    return web.Response(status=said.status, body=msgspec.json.encode(said), content_type=PROBLEM, headers=headers)


def broken(status: int) -> web.Response:
    """Return the answer to what never became a request, which no middleware sees."""
    if status >= 500:
        return _respond(described(status, "internal", "the request broke off here; try again"), _PROTECTION)
    return _respond(described(status, "bad_request", "not a well-formed HTTP request"), _PROTECTION)


def cut_short(status: int) -> bytes:
    """Return the whole answer to a head that never ended, or that nobody has a hand free for: there is no request."""
    said = described(status, *HTTP_PROBLEMS.get(status, (Overloaded.code, Overloaded().detail)))
    body = msgspec.json.encode(said)
    fields = {
        hdrs.CONTENT_TYPE: PROBLEM,
        hdrs.CONTENT_LENGTH: str(len(body)),
        hdrs.CONNECTION: "close",
        **({hdrs.RETRY_AFTER: str(Overloaded().retry_after_s)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}),
    }
    head = [
        f"HTTP/1.1 {said.status} {said.title}",
        *(f"{name}: {value}" for name, value in (fields | _PROTECTION).items()),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """Answer `Expect: 100-continue` (RFC 9110 §10.1.1); anything else that is expected is refused, and not shown."""
    if request.headers[hdrs.EXPECT].lower() != "100-continue":
        return _respond(described(417, *HTTP_PROBLEMS[417]))
    if request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    return None


def _title(status: int) -> str:
    return web.Response(status=status).reason or "Error"


def json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a value of ours as JSON. It is one caller's, so nothing in between may keep it."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        charset="utf-8",
        headers={"Cache-Control": "no-store"} | (headers or {}),
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
