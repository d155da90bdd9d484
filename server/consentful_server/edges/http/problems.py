"""Refusals as problem documents (RFC 9457), for handlers, for aiohttp's own refusals and for what is no request."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import msgspec
from aiohttp import hdrs, web

from ...errors import BadRequest, Overloaded, Refusal
from . import faults
from .protection import PROTECTION

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

PROBLEM: Final = "application/problem+json"


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


def problem(refusal: Refusal) -> web.Response:
    """Return the refusal as a problem document (RFC 9457)."""
    headers: dict[str, str] = {}
    if isinstance(refusal, Overloaded):
        headers[hdrs.RETRY_AFTER] = str(refusal.retry_after_s)
    said = problem_of(refusal)
    if said.status == 401:
        headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="consentful"'
    return respond(said, headers)


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
    return respond(described(error.status, code, detail), allow)


def respond(said: Problem, headers: Mapping[str, str] = _NO_HEADERS) -> web.Response:
    return web.Response(status=said.status, body=msgspec.json.encode(said), content_type=PROBLEM, headers=headers)


def broken(status: int) -> web.Response:
    """Return the answer to what never became a request, which no middleware sees."""
    if status >= 500:
        return respond(described(status, "internal", "the request broke off here; try again"), PROTECTION)
    return respond(described(status, "bad_request", "not a well-formed HTTP request"), PROTECTION)


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
        *(f"{name}: {value}" for name, value in (fields | PROTECTION).items()),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def _title(status: int) -> str:
    return web.Response(status=status).reason or "Error"
