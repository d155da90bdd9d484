"""Problem documents (RFC 9457): for refusals of handlers, for aiohttp's own errors, and for malformed requests."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec
from aiohttp import hdrs, web

from ...errors import BadRequest, Forbidden, KeyInUse, Overloaded, Refusal, TokenExpired, Unauthenticated
from . import faults
from .protection import PROTECTION

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

PROBLEM: Final = "application/problem+json"

_Optional: TypeAlias = str | msgspec.UnsetType


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem document (RFC 9457). `code` is stable; `detail` says what to do next; `parameter` names the bad one.
    `request_id` is the response's `Request-Id`, which the server's log lines name as `request`.
    """

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    parameter: str | msgspec.UnsetType = msgspec.UNSET
    request_id: str | msgspec.UnsetType = msgspec.UNSET


HTTP_PROBLEMS: Final[Mapping[int, tuple[str, str]]] = {
    404: ("not_found", "no such route; /docs lists all routes"),
    405: ("method_not_allowed", "the route does not allow this method; see the Allow header"),
    408: ("too_slow", "the request was not received in time; send it without pauses"),
    413: ("too_large", "the request body is too large; send less data"),
    417: ("bad_request", "unknown expectation; send `Expect: 100-continue`, or no Expect header"),
    431: ("too_large", "the request headers are too large; send fewer or shorter headers"),
}
"""Code and detail of errors that precede the handler, by status."""


_CHALLENGE: Final = 'Bearer realm="consentful"'

INTERNAL: Final = ("internal", "internal server error; retry, or look for the Request-Id in the server's log")


def problem(refusal: Refusal, request_id: str) -> web.Response:
    """Return the refusal as a problem document (RFC 9457)."""
    headers: dict[str, str] = {}
    if isinstance(refusal, Overloaded | KeyInUse):
        headers[hdrs.RETRY_AFTER] = str(refusal.retry_after_s)
    if (challenge := _challenge(refusal)) is not None:
        headers[hdrs.WWW_AUTHENTICATE] = challenge
    return respond(problem_of(refusal, request_id), headers)


def _challenge(refusal: Refusal) -> str | None:
    """Return how to authenticate (RFC 6750 §3); None where another token would not help."""
    match refusal:
        case Unauthenticated(denial="missing"):
            return _CHALLENGE  # §3.1: no error code for a request without a token
        case Unauthenticated() | TokenExpired():
            return f'{_CHALLENGE}, error="invalid_token"'
        case Forbidden(scope=str(scope)):
            return f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
        case _:
            return None


def problem_of(refusal: Refusal, request_id: _Optional = msgspec.UNSET) -> Problem:
    """Return a refusal's problem document."""
    parameter = str(refusal.parameter) if isinstance(refusal, BadRequest) else msgspec.UNSET
    return problem_document(faults.fault_of(refusal).status, refusal.code, refusal.detail, parameter, request_id)


def problem_document(
    status: int,
    code: str,
    detail: str,
    parameter: _Optional = msgspec.UNSET,
    request_id: _Optional = msgspec.UNSET,
) -> Problem:
    """Return a problem document with the standard title of the status."""
    return Problem(
        title=_title(status), status=int(status), code=code, detail=detail, parameter=parameter, request_id=request_id
    )


def as_problem(error: web.HTTPException, request_id: _Optional = msgspec.UNSET) -> web.Response:
    """Return the problem document of an error that aiohttp raised, without its text, which quotes the request."""
    if error.status < 400:
        raise error
    allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    code, detail = HTTP_PROBLEMS.get(error.status, ("bad_request", "the request is malformed; see /docs"))
    return respond(problem_document(error.status, code, detail, request_id=request_id), allow)


def respond(document: Problem, headers: Mapping[str, str] = _NO_HEADERS) -> web.Response:
    """Return a problem document as a response."""
    body = msgspec.json.encode(document)
    return web.Response(status=document.status, body=body, content_type=PROBLEM, headers=headers)


def broken(status: int) -> web.Response:
    """Return the response to a request that could not be parsed; the middleware does not see it."""
    if status >= 500:
        return respond(problem_document(status, "internal", "the server could not read the request; retry"), PROTECTION)
    return respond(problem_document(status, "bad_request", "not a valid HTTP request (RFC 9112)"), PROTECTION)


def cut_short(status: int) -> bytes:
    """Return a complete HTTP/1.1 response as bytes, for a connection without a request object.

    It answers a head that was not received in time (408), that is too large (431), or a connection over capacity (503).
    """
    document = problem_document(status, *HTTP_PROBLEMS.get(status, (Overloaded.code, Overloaded().detail)))
    body = msgspec.json.encode(document)
    fields = {
        hdrs.CONTENT_TYPE: PROBLEM,
        hdrs.CONTENT_LENGTH: str(len(body)),
        hdrs.CONNECTION: "close",
        **({hdrs.RETRY_AFTER: str(Overloaded().retry_after_s)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}),
    }
    head = [
        f"HTTP/1.1 {document.status} {document.title}",
        *(f"{name}: {value}" for name, value in (fields | PROTECTION).items()),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def _title(status: int) -> str:
    return _TITLES.get(status) or web.Response(status=status).reason or "Error"


_TITLES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}
"""The names of RFC 9110, which Python has only from 3.13 on."""
