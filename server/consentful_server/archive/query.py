"""Queries: filters, and selections of rows. Pure.

A list is read from newest to oldest by time of receipt (`newest`), or in commit order, oldest first (`stored`); dialogs
also by their number of messages (`longest`, `shortest`), or in an order that a seed makes (`random`). All stay below a
horizon that is fixed when the walk begins, so that its pages do not shift.
"""

from datetime import datetime
from typing import Any, Final, Literal, NewType, TypeAlias

import msgspec

from consentful import wire

from ..consent.language import canonical
from ..errors import BadRequest

Order: TypeAlias = Literal["newest", "stored", "longest", "shortest", "random"]
BY_LENGTH: Final[tuple[Order, ...]] = ("longest", "shortest")
Kind: TypeAlias = Literal["messages", "dialogs", "chat", "annotations"]

Horizon = NewType("Horizon", int)
"""Limits a walk to what was committed when the horizon was made. Only a store makes one, and interprets it."""

MAX_LIMIT: Final = 1000
MAX_PAGE_BYTES: Final = 1024 * 1024
"""Sealed texts that a page reads; a page of longer dialogs has fewer rows. Opened, a text can take four times as much:
CPython keeps four bytes for each character of a text that has one emoji.
"""
LAST_SEQ: Final = 2**31
"""Greater than the seq of every message."""


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Conditions on each row, all of which must hold. Times are half-open, on `received_at`.

    `q` is searched in the opened text, without case. `customer` is a pseudonym. One annotation must have all of
    `label`, `review` and `annotator`: of a message, the annotation is its own or the whole dialog's. `terms` are what a
    store compares for them (`annotations.terms`). The dialog is one of `dialog_ids`, and its metadata has all pairs of
    `metadata`, which is compared in the opened metadata. `seed` makes the order `random`; it selects nothing.
    """

    language: str | None = None
    customer: str | None = None
    dialog_id: str | None = None
    role: wire.Role | None = None
    bot: str | None = None
    purpose: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str | None = None
    label: str | None = None
    review: str | None = None
    annotator: str | None = None
    terms: tuple[str, ...] = ()
    dialog_ids: tuple[str, ...] | None = None
    metadata: dict[str, str] | None = None
    seed: int | None = None

    @property
    def names_dialogs(self) -> bool:
        """Whether it names the dialogs by their ids."""
        return self.dialog_id is not None or self.dialog_ids is not None

    @property
    def must_open(self) -> bool:
        """Whether rows must be opened to tell which of them match, because no index has what is asked for."""
        return self.q is not None or self.metadata is not None

    def __repr__(self) -> str:
        return f"Filter({', '.join(self.names())})"  # without values: `q` and `customer` are personal data

    def asked(self) -> dict[str, Any]:
        """Return the filters that are set, with their values, as JSON types. Not for logs and errors.

        Of `dialog_ids` it is their number: a thousand would be longer than all that the access log says otherwise.
        """
        asked = msgspec.to_builtins(msgspec.structs.replace(self, terms=(), dialog_ids=None))
        return asked if self.dialog_ids is None else asked | {"dialog_ids": len(self.dialog_ids)}

    def names(self) -> list[str]:
        """Return the names of the filters that are set."""
        return [field for field in self.__struct_fields__ if field != "terms" and getattr(self, field) is not None]


class Position(msgspec.Struct, frozen=True, array_like=True):
    """A row in a walk: microseconds of receipt, internal number of the dialog, seq of the message, and the number of
    messages, which only a walk over dialogs knows. Cursors of earlier releases lack the last.
    """

    received_at: int
    dialog: int
    seq: int = 0
    messages: int = 0


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a walk: up to `limit` rows after a position, below the horizon and, in commit order, beyond `since`.
    It ends before the dialog whose texts would make it exceed `MAX_PAGE_BYTES`, unless that is its first.

    Without a horizon it shows everything that is committed when it is read: the horizon of a walk that begins then.
    `purposes` are those that the caller may read; None means all.
    """

    filter: Filter
    order: Order
    horizon: Horizon | None
    limit: int
    after: Position | None = None
    since: Horizon | None = None
    offset: int = 0
    purposes: tuple[str, ...] | None = None


def check_order(order: Order, wanted: Filter, purposes: tuple[str, ...] | None) -> None:
    """Check that an index has the rows of this query in this order.

    Raises:
        BadRequest: If it is by length, and the query selects by what the index of lengths does not have.
    """
    if order not in BY_LENGTH:
        return
    names = [name for name in ("language", "role", "bot", "purpose") if getattr(wanted, name) is not None]
    if names:
        raise BadRequest("order", f"{order} cannot be combined with {names[0]}; omit one of them")
    if purposes is not None:
        raise BadRequest("order", f"{order} requires a key that is not bound to purposes; use newest or stored")


def language_range(text: str) -> str | None:
    """Return a basic language range (RFC 4647 §2.1) in canonical form; None for `*`, which matches every language.

    Raises:
        BadRequest: If it is not a language range.
    """
    if text == "*":
        return None
    tag = canonical(text)
    if tag is None:
        raise BadRequest("language", "not a BCP 47 language range, such as `en` or `pt-BR`")
    return tag
