"""Request bodies, always read into memory: aiohttp's form reader would write uploads to a temporary file.

Bodies count against the memory budget while they are received, and have limits in size and time.
"""

import asyncio
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import msgspec
from aiohttp import hdrs, web

from consentful import repeated_keys
from consentful.wire import BYTE_ORDER_MARK

from ...errors import BadRequest, WrongMediaType
from .pipeline import SERVICE

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
TEXT: Final = "text/plain"

BODY_S: Final = 30.0
"""Seconds within which a body must be received."""

CODE_BYTES: Final = 16 * 1024
"""Maximum size of a body with a withdrawal code and purposes; unauthenticated clients may send it."""

_MOST_FIELDS: Final = 10


async def object_of(request: web.Request, max_bytes: int | None = None) -> dict[str, Any]:
    """Return the fields of a JSON body of at most `max_bytes` bytes.

    Raises:
        BadRequest: If the body is not a JSON object.
        WrongMediaType: If its Content-Type is not JSON.
    """
    if request.content_type != JSON:
        raise WrongMediaType(JSON)
    decoded = decode_json(await _read(request, max_bytes), "must be a JSON object")
    if not isinstance(decoded, dict):
        raise BadRequest("body", "must be a JSON object")
    return cast("dict[str, Any]", decoded)


async def form_of(
    request: web.Request, max_bytes: int | None = None, most_fields: int = _MOST_FIELDS
) -> dict[str, str]:
    """Return the fields of a form body of at most `max_bytes` bytes.

    Raises:
        BadRequest: If the form is malformed, or repeats a field.
        WrongMediaType: If its Content-Type is not that of a form.
    """
    if request.content_type != FORM:
        raise WrongMediaType(FORM)
    return decode_form(await _read(request, max_bytes), most_fields)


async def of_either(request: web.Request) -> bytes:
    """Return a body that may be JSON or a form. `text/plain` and a missing Content-Type count as JSON.

    Raises:
        WrongMediaType: If its Content-Type is another one.
    """
    if request.headers.get(hdrs.CONTENT_TYPE) and request.content_type not in (JSON, FORM, TEXT):
        raise WrongMediaType(f"{JSON}, {FORM}")
    return _without_mark((await _read(request)).strip()).strip()


async def _read(request: web.Request, max_bytes: int | None = None) -> bytes:
    """Return the body of at most `max_bytes` bytes.

    Raises:
        Overloaded: If the memory budget has no room for it.
    """
    if max_bytes is not None:
        request = request.clone(client_max_size=max_bytes)
    limit = request.client_max_size
    size = limit if request.content_length is None else min(request.content_length, limit)
    registry = request.app[SERVICE].registry
    registry.take(size)
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    finally:
        registry.give_back(size)


def decode_json(body: bytes, expectation: str = "must be valid JSON in UTF-8") -> object:
    """Return the value of a JSON body. A byte order mark before it is ignored (RFC 8259 §8.1).

    Raises:
        BadRequest: If the body is not valid JSON, or an object in it repeats a key.
    """
    body = _without_mark(body)
    try:
        decoded = msgspec.json.decode(body)
        repeats = repeated_keys.in_json(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BadRequest("body", expectation) from None
    if repeats:
        raise BadRequest("body", "repeats a key; send each key once")
    return decoded


def _without_mark(body: bytes) -> bytes:
    return body.removeprefix(BYTE_ORDER_MARK)


def decode_form(body: bytes, most_fields: int = _MOST_FIELDS) -> dict[str, str]:
    """Return the fields of a form.

    Raises:
        BadRequest: If the form is malformed, or repeats a field.
    """
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=most_fields
        )
    except ValueError:
        raise BadRequest("body", "must be a valid form in UTF-8") from None
    if len(dict(pairs)) != len(pairs):
        raise BadRequest("body", "repeats a field; send each field once")
    return dict(pairs)
