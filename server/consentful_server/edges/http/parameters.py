"""Parameters: out of a URL or a body into a struct of their types. What is wrong is named, its value is not."""

from collections.abc import Collection, Mapping
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from ...errors import BadRequest
from ...keys.pseudonyms import PREFIX

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


_FORMS: Final = {
    "dialog_id": "1 to 200 of A-Z a-z 0-9 . _ ~ : - and not . or .. or live",
    "customer": f"a pseudonym: {PREFIX} and 26 letters or digits",
    "bot": "1 to 200 characters, none of them a control character",
    "purpose": "the id of a purpose",
    "after": "the last row that arrived: seq@dialog_id, or a dialog's id alone",
}
"""What to say instead of a pattern."""


def _expectation(name: str, error: msgspec.ValidationError) -> str:
    """Return what was expected, without what was found."""
    said = str(error).partition(" - at `")[0]
    if "matching regex" in said:
        return _FORMS.get(name, "malformed")
    if said.startswith("Invalid enum value"):
        return "not one of the documented values"
    if said.startswith("Invalid RFC3339"):
        return "a time as in RFC 3339 with an offset, such as 2026-01-31T12:00:00Z (in a URL a `+` is written %2B)"
    return said if said.startswith("Expected") else "malformed"


def _shown(name: str) -> str:
    """Return a parameter's name as far as it can be shown: what a client made up is cut and cleaned."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:40])
