"""msgspec's validation errors as sentences that quote no value: only declared paths and types are repeated. Pure.

Both the frames of live dialogs and the parameters of REST are explained by these tables.
"""

import re
from typing import Final

import msgspec

_FORMS: Final = {
    "dialog_id": "1 to 200 of A-Z a-z 0-9 . _ ~ : - and not . or .. or live",
    "language": "a BCP 47 language tag, such as en or pt-BR",
    "bot": "1 to 200 characters, none of them a control character",
    "notice": "the id of a notice",
    "purpose": "the id of a purpose",
    "purposes": "the id of a purpose",
    "customer": "a pseudonym: cus_ and 26 letters or digits",
    "after": "the last row that arrived: seq@dialog_id, or a dialog's id alone",
}
"""What a field's pattern means."""

_VALUES: Final = {
    "role": ": customer, bot, agent (an assistant is a bot, a user is a customer)",
    "given_by": ": self, representative",
}
"""What an enumeration takes."""

_MISSING: Final = "Object missing required field "
_SHOWN: Final = ("Number out of range",)
"""Beginnings of messages that quote only declared names and numbers."""

_TIME: Final = "a time as in RFC 3339 with an offset, such as 2026-01-31T12:00:00Z"

_EXPECTED: Final = re.compile(
    r"Expected `(?P<wanted>[\w |]+)`(?:, got `(?P<given>\w+)`| (?:of length )?(?P<sign>[<>]=) (?P<bound>-?\d+))?"
)
"""msgspec names types as JSON and Python do: `int | null`, `array` of length <= 3."""

_TYPES: Final = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "bytes": "bytes",
    "array": "a list",
    "object": "an object",
    "datetime": _TIME,
    "null": "null",
}
_PARTS: Final = {"str": "character", "array": "item", "object": "field", "bytes": "byte"}
"""What the length of each type counts."""


def explained(error: msgspec.ValidationError, field: str) -> str | None:
    """Return what the field expects; None if msgspec's message quotes a value."""
    complaint = str(error).partition(" - at `")[0]
    if complaint.startswith("Invalid enum value"):
        return f"not one of the documented values{_VALUES.get(field, '')}"
    if "matching regex" in complaint:
        form = _FORMS.get(field)
        return form and f"Expected {form}"
    if complaint.startswith("Invalid RFC3339"):
        return f"Expected {_TIME}"
    if complaint.startswith(_MISSING):
        return f"Expected the field {complaint.removeprefix(_MISSING)}, which is missing"
    if match := _EXPECTED.match(complaint):
        return f"Expected {_in_words(match)}"
    return complaint if complaint.startswith(_SHOWN) else None


def _in_words(match: re.Match[str]) -> str:
    """Return what msgspec expected of a value: its type, and what else it is, or its least or most."""
    names = match["wanted"].split(" | ")
    wanted = " or ".join(_TYPES.get(name, name) for name in names)
    if match["given"]:
        return f"{wanted}, not {_TYPES.get(match['given'], match['given'])}"
    if not match["sign"]:
        return wanted
    limit = f"at {'least' if match['sign'] == '>=' else 'most'} {int(match['bound']):,}"
    part = _PARTS.get(names[0])
    return (
        f"{wanted} of {limit}" if part is None else f"{wanted} of {limit} {part}{'' if match['bound'] == '1' else 's'}"
    )
