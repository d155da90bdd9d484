"""msgspec's validation errors as sentences that quote no value: only declared paths and types are repeated. Pure.

Both the frames of live dialogs and the parameters of REST are explained by these tables.
"""

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

_SHOWN: Final = ("Expected", "Object missing required field", "Number out of range")
"""Beginnings of messages that quote only declared names and numbers."""

_TIME: Final = "a time as in RFC 3339 with an offset, such as 2026-01-31T12:00:00Z"


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
    return complaint if complaint.startswith(_SHOWN) else None
