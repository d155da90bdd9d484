"""What is asked for: filters, and selections of rows. Pure.

A list is read from newest to oldest (`newest`, by time of receipt) or in the order of commit, oldest first (`stored`).
Both walk below a horizon, which is made when the walk begins, so that a page never shifts.
"""

from datetime import datetime
from typing import Any, Final, Literal, NewType, TypeAlias

import msgspec

from consentful import wire

from ..consent.language import canonical
from ..errors import BadRequest

Order: TypeAlias = Literal["newest", "stored"]
Kind: TypeAlias = Literal["messages", "dialogs", "chat"]

Horizon = NewType("Horizon", int)
"""What a walk may see: all that was committed when it was made. Only a store makes one, or reads its number."""

MAX_LIMIT: Final = 1000
LAST_SEQ: Final = 2**31
"""After every message of a dialog."""


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must be true of every row; all of it. Times are half-open, on `received_at`.

    `q` is looked for in the opened text, whatever its case. `customer` is a pseudonym.
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

    def __repr__(self) -> str:
        return f"Filter({', '.join(self.names())})"

    def asked(self) -> dict[str, Any]:
        """Return which filters are set, and what they look for, as JSON has it. Not for logs and errors."""
        return msgspec.to_builtins(self)

    def names(self) -> list[str]:
        """Return which filters are set, without their values."""
        return [field for field in self.__struct_fields__ if getattr(self, field) is not None]


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The last row that was looked at: microseconds of receipt, internal number of the dialog, number in it."""

    received_at: int
    dialog: int
    seq: int = 0


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a walk: `limit` rows after a position, below the horizon and, in commit order, beyond `since`.

    `purposes` are those that the caller may see; None sees all.
    """

    filter: Filter
    order: Order
    horizon: Horizon
    limit: int
    after: Position | None = None
    since: Horizon | None = None
    offset: int = 0
    purposes: tuple[str, ...] | None = None


def language_range(text: str) -> str | None:
    """Return a basic language range (RFC 4647 §2.1) in canonical spelling; None for `*`, which any language fits.

    Raises:
        BadRequest: If it is not one.
    """
    if text == "*":
        return None
    tag = canonical(text)
    if tag is None:
        raise BadRequest("language", "not a BCP 47 language range, such as `en` or `pt-BR`")
    return tag
