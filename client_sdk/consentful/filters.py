"""The filters of every reader, and the requests they become. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from operator import index
from typing import Any, Final, Literal, TypeAlias, TypedDict

from . import arguments, wire

Shape: TypeAlias = Literal["messages", "dialogs", "chat", "annotations"]
"""A row is a message, a dialog without messages, a dialog with `messages` of `role` and `content`, or an annotation."""


class _Filters(TypedDict, total=False):
    """All filters must match. `until` is exclusive. A `datetime` has an offset; a `date` begins at midnight UTC."""

    language: str
    """A range such as `en`, which also matches `en-GB` and `en_GB`."""
    customer: str
    """A pseudonym, `cus_…`."""
    dialog_id: str
    role: wire.Role
    bot: str
    purpose: str
    label: str
    """Of an annotation, as are `review` and `annotator`: one annotation must have all that is given."""
    review: str
    annotator: str
    since: date | datetime | str
    until: date | datetime | str


class DialogFilters(_Filters, total=False):
    """The filters of dialogs, their order, and what each of them shows.

    `q`, `customer_id`, `dialog_ids` and `metadata` are sent in a body, because URLs are logged.
    """

    order: Literal["newest", "stored", "longest", "shortest", "random"]
    """By length only without `language`, `role`, `bot` and `purpose`; `random` not for tables."""
    seed: int
    """Of `order="random"`: the same seed gives the same order, and so, with a `limit`, the same sample."""
    q: str
    """Part of a text, in any case."""
    customer_id: str
    """Needs the scope `data:identify`."""
    dialog_ids: Iterable[str]
    """At most 1,000."""
    metadata: Mapping[str, str]
    """Pairs that the dialog's metadata has, all of them."""
    include: Iterable[Literal["first_text", "metadata", "annotations"]]
    """What a dialog shows beside what it always shows; not for tables."""


class AnnotationFilters(_Filters, total=False):
    """The filters of annotations: those of their dialogs, and their own."""

    order: Literal["newest", "stored"]


class MessageFilters(_Filters, total=False):
    """The filters of messages, and what each of them shows.

    Those from `q` to `metadata` are sent in a body, because URLs are logged.
    """

    order: Literal["newest", "stored"]

    q: str
    """Part of the text, in any case."""
    customer_id: str
    """Needs the scope `data:identify`."""
    dialog_ids: Iterable[str]
    """At most 1,000."""
    metadata: Mapping[str, str]
    """Pairs that the dialog's metadata has, all of them."""
    roles: Literal["user/assistant", "customer/bot"]
    """The roles of the shape `chat`: those of chat templates (the default), or those that were stored."""
    include: Iterable[Literal["metadata"]]
    """What a message shows beside what it always shows: the metadata of its dialog; not for tables."""


_IN_A_BODY: Final = frozenset(("q", "customer_id", "dialog_ids", "metadata"))


@dataclass(frozen=True)
class Asked:
    """A request: its path, and its parameters in the URL or, if they must not be logged, in a body."""

    path: str
    values: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    in_body: bool = False
    method: Literal["GET", "PUT", "DELETE"] | None = field(default=None, repr=False)
    """None: GET, or POST with a body."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def http_method(self) -> str:
        return self.method or ("POST" if self.in_body else "GET")

    def but(self, **values: Any) -> "Asked":
        """Return the request with further parameters; those that are None are left out."""
        given = {name: value for name, value in values.items() if value is not None}
        return replace(self, values={**self.values, **given})


def messages(filters: Mapping[str, Any]) -> Asked:
    """Return the request for messages.

    Raises:
        TypeError: If a filter does not exist, or has another type.
        ValueError: If a time has no offset, or there is no such role.
    """
    return _asked("v1/messages", "v1/messages/search", _values(filters, MessageFilters))


def dialogs(filters: Mapping[str, Any]) -> Asked:
    """Return the request for dialogs.

    Raises:
        TypeError: If a filter does not exist, or has another type.
        ValueError: If a time has no offset, or there is no such role.
    """
    return _asked("v1/dialogs", "v1/dialogs:search", _values(filters, DialogFilters))


def _asked(path: str, search: str, values: Mapping[str, Any]) -> Asked:
    if _IN_A_BODY.isdisjoint(values):
        return Asked(path, values)
    return Asked(search, values, in_body=True)


def annotations(filters: Mapping[str, Any]) -> Asked:
    """Return the request for annotations.

    Raises:
        TypeError, ValueError: As `dialogs`.
    """
    return Asked("v1/annotations", _values(filters, AnnotationFilters))


def annotation(dialog_id: str, seq: int | None) -> str:
    """Return the path of one's own annotation of a message, or of the whole dialog.

    Raises:
        TypeError, ValueError: If the id is no text, or the seq is not a positive integer.
    """
    path = f"v1/annotations/{arguments.text('dialog_id', dialog_id)}"
    if seq is None:
        return path
    if index(seq) < 1:
        raise ValueError("seq begins with 1; leave it out to annotate the whole dialog")
    return f"{path}/{index(seq)}"


def lasting(filters: Mapping[str, Any]) -> None:
    """Check that no filter can match another set of stored dialogs later, and that a table can hold what is asked for.

    Raises:
        ValueError: If one can, or it cannot.
    """
    _check_columns(filters)
    if names := [name for name in ("label", "review", "annotator") if filters.get(name) is not None]:
        raise ValueError(
            f"sync takes no {names[0]}: annotations change after a dialog is stored; filter the copy instead"
        )


def table(shape: Shape, filters: Mapping[str, Any]) -> Asked:
    """Return the request for everything that matches, as one Arrow stream.

    Raises:
        TypeError: If a filter does not exist, or has another type.
        ValueError: If a time has no offset, the shape does not exist, or a table cannot hold what is asked for.
    """
    _check_columns(filters)
    if shape == "dialogs":
        return dialogs(filters).but(format="arrow")
    if shape == "annotations":
        return annotations(filters).but(format="arrow")
    if shape not in ("messages", "chat"):
        raise ValueError("shape is one of messages, dialogs, chat, annotations")
    return messages(filters).but(format="arrow", shape=shape)


def _check_columns(filters: Mapping[str, Any]) -> None:
    if filters.get("include"):
        raise ValueError("tables have no column for include; leave it out, or iterate over messages() or dialogs()")


def at_most(limit: int | None) -> int | None:
    """Return how many rows are wanted; None for all.

    Raises:
        TypeError, ValueError: If it is not a positive integer.
    """
    if limit is None:
        return None
    number = index(limit)
    if isinstance(limit, bool) or number < 1:
        raise ValueError("limit must be 1 or more; leave it out for all rows")
    return number


def _values(filters: Mapping[str, Any], kind: type[Any]) -> dict[str, Any]:
    known = kind.__annotations__
    for name in filters:
        if name not in known:
            raise TypeError(f"unknown filter {name!r}; the filters are: {', '.join(known)}")
    spelt = ((name, _spelt(name, value)) for name, value in filters.items() if value is not None)
    return {name: value for name, value in spelt if value is not None}


def _spelt(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{name} has no offset; pass an aware datetime, such as datetime.now(UTC)")
        return arguments.moment(name, value).isoformat()
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC).isoformat()
    if name in _SPELLINGS:
        return _SPELLINGS[name](name, value)
    text = arguments.text(name, value)
    return arguments.role(text) if name == "role" else text


def _list(name: str, values: Any) -> str | None:
    return ",".join(arguments.texts_or_none(name, values) or ()) or None


def _seed(name: str, value: Any) -> int:
    seed = index(value)
    if isinstance(value, bool) or not 0 <= seed < 2**53:
        raise ValueError(f"{name} must be an integer from 0 to 2**53 - 1")
    return seed


_SPELLINGS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "include": _list,
    "dialog_ids": arguments.texts_or_none,
    "metadata": arguments.mapping_or_none,
    "seed": _seed,
}
