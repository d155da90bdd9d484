"""What a caller passes, as plain values of Python's own types. Pure.

Nothing is coerced: bytes, numbers and None are no text, and a date is no moment. Subclasses of `str` and `datetime`
(`numpy.str_`, `StrEnum`, `pandas.Timestamp`, `pendulum.DateTime`) are taken, and become plain, because msgspec encodes
the types themselves only. No error repeats a value.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast, get_args

from . import wire

_HINTS: Final[Mapping[type[Any], str]] = {
    bytes: "; decode it first: value.decode()",
    bytearray: "; decode it first: value.decode()",
    wire.Notice: "; pass its id: notice.id",
}
_YEARS: Final = "Expected a time in the years 2 to 9998"
_AWARE: Final = (
    "Expected a time with an offset; pass an aware datetime, such as datetime.now(UTC), or value.astimezone() for a"
    " local time"
)


def text(name: str, value: object) -> str:
    """Return the text as a plain `str`.

    Raises:
        TypeError: If it is none; the message names the parameter.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}{_HINTS.get(type(value), '')}")
    return str.__str__(value)


def text_or_none(name: str, value: object) -> str | None:
    """Return the text as a plain `str`, or None.

    Raises:
        TypeError: As `text`.
    """
    return None if value is None else text(name, value)


def texts_or_none(name: str, values: object) -> list[str] | None:
    """Return the texts as a list of plain `str`, or None.

    Raises:
        TypeError: If it is not a collection of them. A single text is none: its characters were not meant.
    """
    if values is None:
        return None
    kind = type(values).__name__
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise TypeError(f'{name} must be a list of str, such as ["improve-chatbot"], not {kind}')
    return [text(f"each of {name}", value) for value in cast("Iterable[object]", values)]


def mapping_or_none(name: str, values: object) -> dict[str, str] | None:
    """Return the mapping as a dict of plain `str`; None if it is empty.

    Raises:
        TypeError: If it is not a mapping from texts to texts.
    """
    if values is None:
        return None
    if not isinstance(values, Mapping):
        raise TypeError(f"{name} must be a mapping of str to str, not {type(values).__name__}")
    pairs = cast("Mapping[object, object]", values).items()
    return {text(f"each key of {name}", key): text(f"each value of {name}", value) for key, value in pairs} or None


def role(value: object) -> wire.Role:
    """Return the role.

    Raises:
        TypeError: If it is no text.
        BadFrame: If there is no such role; the message says which there are, and what other systems' roles are here.
    """
    given = text("role", value)
    if given not in get_args(wire.Role):
        raise wire.BadFrame("$.role", f"Expected customer, bot or agent{_OTHER_ROLES.get(given.lower(), '')}")
    return cast("wire.Role", given)


_OTHER_ROLES: Final = {
    **dict.fromkeys(("assistant", "ai", "model", "chatbot"), '; for an assistant use "bot"'),
    **dict.fromkeys(("user", "human", "client"), '; for a user use "customer"'),
    **dict.fromkeys(("operator", "employee", "support"), '; for a human colleague use "agent"'),
    **dict.fromkeys(("system", "developer", "tool", "function"), "; what was not said in the conversation is not kept"),
}


def moment(name: str, value: object) -> datetime:
    """Return the time as a plain, aware `datetime`.

    Raises:
        TypeError: If it is no `datetime`.
        BadFrame: If it has no offset, or no time zone has it.
    """
    if not isinstance(value, datetime):
        raise TypeError(f"{name} must be a datetime, not {type(value).__name__}; see datetime.fromisoformat")
    if value != value:  # noqa: PLR0124 - pandas.NaT is a datetime that is no time
        raise wire.BadFrame(f"$.{name}", "Expected a time")
    offset = value.utcoffset()
    if offset is None:
        raise wire.BadFrame(f"$.{name}", _AWARE)
    if not wire.is_storable(value):
        raise wire.BadFrame(f"$.{name}", _YEARS)
    if offset % timedelta(minutes=1):
        value = value.astimezone(UTC)  # RFC 3339 has no seconds in an offset; local mean times do
    return datetime(
        value.year,
        value.month,
        value.day,
        value.hour,
        value.minute,
        value.second,
        value.microsecond,
        tzinfo=value.tzinfo,
        fold=value.fold,
    )
