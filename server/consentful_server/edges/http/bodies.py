"""Bodies of requests, always read into memory: aiohttp's own reader of forms would spill an upload to disk.

They are counted there while they come in, like all else that is held, and they have to come in within bounds.
"""

import asyncio
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import hdrs, web

from ...errors import BadRequest, WrongMediaType
from .pipeline import SERVICE

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
TEXT: Final = "text/plain"

BODY_S: Final = 30.0
"""How long a client may take over a body."""

CODE_BYTES: Final = 4096
"""What a body may have that anybody may send, when all it holds is a code."""

_MOST_FIELDS: Final = 10


async def object_of(request: web.Request, most: int | None = None) -> dict[str, Any]:
    """Return the fields of a JSON body.

    Raises:
        BadRequest: If it is no JSON object.
        WrongMediaType: If it does not say that it is JSON.
    """
    if request.content_type != JSON:
        raise WrongMediaType(JSON)
    try:
        return msgspec.json.decode(await _read(request, most), type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BadRequest("body", "a JSON object") from None


async def form_of(request: web.Request, most: int | None = None) -> dict[str, str]:
    """Return the fields of a form.

    Raises:
        BadRequest: If it is malformed, or a field is there twice.
        WrongMediaType: If it does not say that it is a form.
    """
    if request.content_type != FORM:
        raise WrongMediaType(FORM)
    return decode_form(await _read(request, most))


async def of_either(request: web.Request) -> bytes:
    """Return a body that may be JSON or a form; `text/plain` and no type at all are taken as JSON.

    Raises:
        WrongMediaType: If it says that it is something else.
    """
    if request.headers.get(hdrs.CONTENT_TYPE) and request.content_type not in (JSON, FORM, TEXT):
        raise WrongMediaType(f"{JSON}, {FORM}")
    return (await _read(request)).strip()


async def _read(request: web.Request, most: int | None = None) -> bytes:
    """Return the body.

    Raises:
        Overloaded: If there is no room for it now.
    """
    if most is not None:
        request = request.clone(client_max_size=most)
    most = request.client_max_size
    size = most if request.content_length is None else min(request.content_length, most)
    registry = request.app[SERVICE].registry
    registry.take(size)
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    finally:
        registry.give_back(size)


def decode_json(body: bytes) -> object:
    """Return whatever JSON the body holds.

    Raises:
        BadRequest: If it holds none.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BadRequest("body", "not well-formed JSON in UTF-8") from None


def decode_form(body: bytes) -> dict[str, str]:
    """Return the fields of a form.

    Raises:
        BadRequest: If it is malformed, or a field is there twice.
    """
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise BadRequest("body", "not a well-formed form in UTF-8") from None
    if len(dict(pairs)) != len(pairs):
        raise BadRequest("body", "a field is given twice; give it once")
    return dict(pairs)
