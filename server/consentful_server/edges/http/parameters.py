"""Parameters: the fields of a URL's query or a body, as a struct. Errors name the parameter, never its value."""

from collections.abc import Collection, Mapping
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from consentful.schema_errors import explained

from ...errors import BadRequest

S = TypeVar("S", bound=msgspec.Struct)

_NUMBERS: Final = frozenset({"limit", "offset"})


def of_url(request: web.Request) -> dict[str, str]:
    """Return the parameters of the URL.

    Raises:
        BadRequest: If a parameter is repeated.
    """
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name in values:
            raise BadRequest(_shown(name), "is repeated; send it once")
        values[name] = value
    return values


def convert(values: Mapping[str, Any], kind: type[S], *, numbers_as_text: Collection[str] = _NUMBERS) -> S:
    """Return the values as a struct. Values of the names in `numbers_as_text` are numbers in text form, as in URLs.

    Raises:
        BadRequest: If a parameter is unknown, missing or malformed. The error names it, without its value.
    """
    types = {field.name: field for field in msgspec.structs.fields(kind)}
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name not in types:
            raise BadRequest(_shown(name), f"unknown parameter; the parameters are: {', '.join(types)}")
        try:
            found[name] = msgspec.convert(value, types[name].type, strict=name not in numbers_as_text)
        except msgspec.ValidationError as error:
            raise BadRequest(name, _expectation(name, error)) from None
    for name, field in types.items():
        if field.required and name not in found:
            raise BadRequest(name, "is required")
    return kind(**found)


def _expectation(name: str, error: msgspec.ValidationError) -> str:
    """Return what the schema expects, without the value that was sent."""
    text = explained(error, name) or "malformed"
    return f"{text} (in a URL, write `+` as %2B)" if "RFC 3339" in text else text


def _shown(name: str) -> str:
    """Return an unknown parameter's name for an error: cut to 40 characters, without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:40])
