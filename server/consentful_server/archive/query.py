"""What is asked for: filters, positions, cursors. Pure.

A list is read from newest to oldest (`newest`, by time of receipt) or in the order of commit, oldest first (`stored`).
Both walk below a watermark, the last dialog that was committed when the walk began, so that a page never shifts.
"""

import base64
import hmac
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from consentful import wire

from ..consent.language import canonical
from ..errors import BadRequest

Order: TypeAlias = Literal["newest", "stored"]
Kind: TypeAlias = Literal["messages", "dialogs", "chat"]

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
    """One page of a walk: `limit` rows after a position, below the watermark.

    `purposes` names the purposes that the caller may see; None sees all.
    """

    filter: Filter
    order: Order
    watermark: int
    limit: int
    after: Position | None = None
    offset: int = 0
    purposes: tuple[str, ...] | None = None


class _Place(msgspec.Struct, frozen=True, array_like=True):
    version: Literal[1]
    kind: Kind
    order: Order
    watermark: Annotated[int, Meta(ge=0)]
    after: Position | None


class Walk(msgspec.Struct, frozen=True):
    """Where a walk stands."""

    watermark: int
    after: Position | None = None

    def select(self, wanted: Filter, purposes: tuple[str, ...] | None, order: Order, length: int) -> Selection:
        """Return a selection of one row more than is shown, which tells whether there is a next page."""
        return Selection(
            filter=wanted, order=order, watermark=self.watermark, limit=length + 1, after=self.after, purposes=purposes
        )

    def past(self, order: Order, last: Position | None) -> "Walk":
        """Return where the walk stands after `last`; None means at its end."""
        if last is not None:
            return Walk(self.watermark, last)
        if order == "stored":
            passed = max(self.watermark, self.after.dialog if self.after else 0)
            return Walk(self.watermark, Position(0, passed, LAST_SEQ))
        return self


class Cursors:
    """Makes and reads cursors: opaque, unforgeable, of one query only.

    A cursor holds the position and a MAC over it and the query; none of the query's values.
    """

    _MAC_BYTES: Final = 16

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, kind: Kind, order: Order, wanted: Filter, purposes: tuple[str, ...] | None, walk: Walk) -> str:
        place = _encode(_Place(1, kind, order, walk.watermark, walk.after))
        return base64.urlsafe_b64encode(place + self._mac(place, wanted, purposes)).decode().rstrip("=")

    def read(self, cursor: str, kind: Kind, order: Order, wanted: Filter, purposes: tuple[str, ...] | None) -> Walk:
        """Return where the walk of this very query stands.

        Raises:
            BadRequest: If the cursor is malformed, or another query's.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            place, mac = raw[: -self._MAC_BYTES], raw[-self._MAC_BYTES :]
            if not hmac.compare_digest(mac, self._mac(place, wanted, purposes)):
                raise ValueError
            where = _decode_place(place)
        except (ValueError, msgspec.MsgspecError):
            raise _bad_cursor() from None
        if (where.kind, where.order) != (kind, order):
            raise _bad_cursor()
        return Walk(where.watermark, where.after)

    def mark(self, kind: str, query: Any, place: int) -> str:
        """Return a cursor of a list of another kind, which stands at a number."""
        at = place.to_bytes(8, "big")
        return base64.urlsafe_b64encode(at + self._mac_of(kind, query, at)).decode().rstrip("=")

    def marked(self, cursor: str, kind: str, query: Any) -> int:
        """Return the number at which the cursor of this very query stands.

        Raises:
            BadRequest: If the cursor is malformed, or another query's.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise _bad_cursor() from None
        at, mac = raw[: -self._MAC_BYTES], raw[-self._MAC_BYTES :]
        if not hmac.compare_digest(mac, self._mac_of(kind, query, at)):
            raise _bad_cursor()
        return int.from_bytes(at, "big")

    def _mac_of(self, kind: str, query: Any, at: bytes) -> bytes:
        return hmac.digest(self._key, _encode([kind, query, at]), "sha256")[: self._MAC_BYTES]

    def _mac(self, place: bytes, wanted: Filter, purposes: tuple[str, ...] | None) -> bytes:
        return hmac.digest(self._key, _encode([place, wanted, purposes]), "sha256")[: self._MAC_BYTES]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_place: Final = msgspec.msgpack.Decoder(_Place).decode


def _bad_cursor() -> BadRequest:
    """Return a new one each time: an exception that is raised again keeps every frame that it ever came through."""
    return BadRequest("cursor", "not a cursor of this query; start again without it, with the same filters")


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
