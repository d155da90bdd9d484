"""What can be asked for, and where: the filters of every reader, as a request. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, TypedDict

from . import wire

Shape: TypeAlias = Literal["messages", "dialogs", "chat"]
"""What a row is: a message; a dialog without its words; or a dialog with `messages` of `role` and `content`."""


class DialogFilters(TypedDict, total=False):
    """All of them must hold. Times have an offset; `until` itself is left out."""

    language: str
    """A range such as `en`, which fits `en-GB` too."""
    customer: str
    """A pseudonym, `cus_…`."""
    dialog_id: str
    role: wire.Role
    bot: str
    purpose: str
    since: datetime | str
    until: datetime | str
    order: Literal["newest", "stored"]


class MessageFilters(DialogFilters, total=False):
    """The same for messages. These two go in a body, because URLs are logged."""

    q: str
    """Part of the text, in any case."""
    customer_id: str
    """Needs the scope `data:identify`."""


_IN_A_BODY: Final = frozenset(("q", "customer_id"))


@dataclass(frozen=True)
class Asked:
    """One request: its path, and its parameters in the URL or, for what must not be logged, in a body."""

    path: str
    values: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    in_body: bool = False

    def but(self, **values: Any) -> "Asked":
        """Return the same with other parameters beside; those that are None are left out."""
        given = {name: value for name, value in values.items() if value is not None}
        return Asked(self.path, {**self.values, **given}, self.in_body)


def messages(filters: Mapping[str, Any]) -> Asked:
    """Return how messages are asked for.

    Raises:
        TypeError: If there is no such filter.
        ValueError: If a time has no offset.
    """
    values = _values(filters, MessageFilters)
    if _IN_A_BODY.isdisjoint(values):
        return Asked("v1/messages", values)
    return Asked("v1/messages/search", values, in_body=True)


def dialogs(filters: Mapping[str, Any]) -> Asked:
    """Return how dialogs are asked for.

    Raises:
        TypeError: If there is no such filter.
        ValueError: If a time has no offset.
    """
    return Asked("v1/dialogs", _values(filters, DialogFilters))


def table(shape: Shape, filters: Mapping[str, Any]) -> Asked:
    """Return how everything that fits is asked for as one Arrow stream.

    Raises:
        TypeError: If there is no such filter.
        ValueError: If a time has no offset, or there is no such shape.
    """
    if shape == "dialogs":
        return dialogs(filters).but(format="arrow")
    if shape not in ("messages", "chat"):
        raise ValueError("shape is one of messages, dialogs, chat")
    return messages(filters).but(format="arrow", shape=shape)


def _values(filters: Mapping[str, Any], kind: type[Any]) -> dict[str, Any]:
    known = kind.__annotations__
    for name in filters:
        if name not in known:
            raise TypeError(f"there is no filter {name!r}; there are: {', '.join(known)}")
    return {name: _spelt(name, value) for name, value in filters.items() if value is not None}


def _spelt(name: str, value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError(f"{name} has no offset; pass an aware datetime, such as datetime.now(UTC)")
    return value.isoformat()
