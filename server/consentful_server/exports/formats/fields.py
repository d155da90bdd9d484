"""The columns of tables: one list for CSV, Arrow and Parquet, so that they agree."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from . import Shape

Type: TypeAlias = Literal["text", "id", "label", "labels", "number", "time", "lines"]
"""`id` is a text that rows next to each other share, `label` a text with few values, `labels` a list of such, `lines` a
list of role and content.
"""


class Field(NamedTuple):
    """One column: its name, its type, whether it may be null, and how to get its value from a row."""

    name: str
    type: Type
    nullable: bool
    of: Callable[[Any], Any]


def _own(name: str, kind: Type, *, nullable: bool = False) -> Field:
    return Field(name, kind, nullable, attrgetter(name))


def _customer_id(row: Any) -> str | None:
    """Return the customer's id; None for readers without the scope: the columns are the same for all."""
    return None if row.customer_id is msgspec.UNSET else row.customer_id


_WHO: Final = (
    _own("customer", "id"),
    Field("customer_id", "id", True, _customer_id),
)

FIELDS: Final[Mapping[Shape, tuple[Field, ...]]] = {
    "messages": (
        _own("dialog_id", "id"),
        _own("seq", "number"),
        *_WHO,
        _own("role", "label"),
        _own("text", "text"),
        _own("language", "label", nullable=True),
        _own("bot", "label", nullable=True),
        _own("sent_at", "time", nullable=True),
        _own("received_at", "time"),
        _own("stored_at", "time"),
    ),
    "dialogs": (
        _own("dialog_id", "text"),
        *_WHO,
        _own("language", "label", nullable=True),
        _own("bot", "label", nullable=True),
        _own("messages", "number"),
        _own("opened_at", "time"),
        _own("received_at", "time"),
        _own("stored_at", "time"),
        _own("expires_at", "time"),
        Field("notice_id", "label", False, attrgetter("notice.id")),
        Field("notice_language", "label", False, attrgetter("notice.language")),
        Field("notice_sha256", "label", False, attrgetter("notice.sha256")),
        _own("purposes", "labels"),
        _own("given_by", "label"),
    ),
    "chat": (
        _own("dialog_id", "text"),
        *_WHO,
        _own("language", "label", nullable=True),
        _own("bot", "label", nullable=True),
        _own("stored_at", "time"),
        _own("messages", "lines"),
    ),
    "annotations": (
        _own("dialog_id", "id"),
        _own("seq", "number", nullable=True),
        _own("annotator", "label"),
        _own("labels", "labels"),
        _own("note", "text", nullable=True),
        _own("review", "label", nullable=True),
        _own("written_at", "time"),
    ),
}
