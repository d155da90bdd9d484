"""Parameters: out of a URL or a body into a struct of their types. What is wrong is named, its value is not."""

from collections.abc import Collection, Mapping
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from consentful.schema_errors import explained

from ...errors import BadRequest

S = TypeVar("S", bound=msgspec.Struct)

_NUMBERS: Final = frozenset({"limit", "offset"})


def single(request: web.Request) -> dict[str, str]:
    """Return the parameters of the URL.

    Raises:
        BadRequest: If one is there twice.
    """
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name in values:
            raise BadRequest(_shown(name), "given twice; give it once")
        values[name] = value
    return values


def convert(values: Mapping[str, Any], kind: type[S], *, spelt: Collection[str] = _NUMBERS) -> S:
    """Return the values as a struct. Numbers of the `spelt` names come as text, as they do in URLs.

    Raises:
        BadRequest: If one is unknown, missing or malformed; it is named, its value is not.
    """
    types = {field.name: field for field in msgspec.structs.fields(kind)}
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name not in types:
            raise BadRequest(_shown(name), f"no such parameter; there are: {', '.join(types)}")
        try:
            found[name] = msgspec.convert(value, types[name].type, strict=name not in spelt)
        except msgspec.ValidationError as error:
            raise BadRequest(name, _expectation(name, error)) from None
    for name, field in types.items():
        if field.required and name not in found:
            raise BadRequest(name, "is missing")
    return kind(**found)


def _expectation(name: str, error: msgspec.ValidationError) -> str:
    """Return what was expected, without what was found."""
    text = explained(error, name) or "malformed"
    return f"{text} (in a URL a `+` is written %2B)" if "RFC 3339" in text else text


def _shown(name: str) -> str:
    """Return a parameter's name as far as it can be shown: what a client made up is cut and cleaned."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:40])
