"""Parameters: the fields of a URL's path, of its query or of a body, as a struct. Errors name it, never its value.

Values in URLs are percent-encoded UTF-8 (RFC 3986 §2.5). yarl leaves octets that are no UTF-8, and a `%` without two
hex digits, as they are; then `%FF` and `%25FF` would be one customer. Both are refused.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeVar
from urllib.parse import unquote_plus, unquote_to_bytes

import msgspec
from aiohttp import web

from consentful.schema_errors import explained

from ...errors import BadRequest

S = TypeVar("S", bound=msgspec.Struct)

_LONE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AS_TEXT: Final = frozenset({"limit", "offset", "bom", "seed"})


def of_path(request: web.Request) -> dict[str, str]:
    """Return the parameters in the path of the URL.

    Raises:
        BadRequest: If one is not percent-encoded UTF-8.
    """
    resource = request.match_info.route.resource
    assert resource is not None
    values: dict[str, str] = {}
    for place, raw in zip(resource.canonical.split("/"), request.rel_url.raw_path.split("/"), strict=True):
        if place.startswith("{"):
            name = place[1:-1]
            _check_octets(name, raw)
            values[name] = unquote_to_bytes(raw).decode()
    return values


def of_url(request: web.Request) -> dict[str, str]:
    """Return the parameters in the query of the URL.

    Raises:
        BadRequest: If a parameter is repeated, or not percent-encoded UTF-8.
    """
    for pair in request.rel_url.raw_query_string.split("&"):
        if "%" in pair:
            _check_octets(_shown(unquote_plus(pair.partition("=")[0])), pair)
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name in values:
            raise BadRequest(_shown(name), "is repeated; send it once")
        values[name] = value
    return values


def refuse_in_url(request: web.Request) -> None:
    """Check that the URL has no parameters, where they belong into the body: one that was ignored would filter nothing.

    Raises:
        BadRequest: If it has one.
    """
    for name in request.query:
        raise BadRequest(_shown(name), "not accepted in the URL of a search; send it in the JSON body")


def convert(values: Mapping[str, Any], kind: type[S], *, numbers_as_text: Collection[str] = _AS_TEXT) -> S:
    """Return the values as a struct. Numbers and truth values of the names in `numbers_as_text` are texts, as in URLs.

    Raises:
        BadRequest: If a parameter is unknown, missing or malformed. The error names it, without its value.
    """
    types = _fields(kind)
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name not in types:
            raise BadRequest(_shown(name), f"unknown parameter; the parameters are: {', '.join(types)}")
        try:
            found[name] = msgspec.convert(value, types[name].type, strict=name not in numbers_as_text)
        except msgspec.ValidationError as error:
            raise BadRequest(name, _expectation(name, error)) from None
    for name in _required(kind):
        if name not in found:
            raise BadRequest(name, "is required")
    return kind(**found)


@cache
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """Return the fields of a struct by name. Reading its annotations takes longer than all else here."""
    return {field.name: field for field in msgspec.structs.fields(kind)}


@cache
def _required(kind: type[msgspec.Struct]) -> Sequence[str]:
    return [name for name, field in _fields(kind).items() if field.required]


def _check_octets(name: str, raw: str) -> None:
    """Check that a part of the URL says one thing only."""
    if "%" not in raw:
        return
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise BadRequest(name, "must be UTF-8, percent-encoded") from None
    if _LONE_PERCENT.search(raw):
        raise BadRequest(name, "must be percent-encoded UTF-8; write `%` as %25")


def _expectation(name: str, error: msgspec.ValidationError) -> str:
    """Return what the schema expects, without the value that was sent."""
    text = explained(error, name) or "malformed"
    return f"{text} (in a URL, write `+` as %2B)" if "RFC 3339" in text else text


def _shown(name: str) -> str:
    """Return an unknown parameter's name for an error: cut to 40 characters, without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:40])
