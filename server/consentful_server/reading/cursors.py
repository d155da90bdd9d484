"""Cursors: opaque, authenticated, and valid for one query only. Pure.

    cursor = base64url(place | MAC)        MAC = HMAC-SHA-256(key, place, filters, purposes)[:16]

`place` holds the kind of list, the order, the horizon, the last row and the store's generation; the filters and the
caller's purposes are only in the MAC, so a cursor in a log reveals no filter value. A client that changes a filter, or
uses another credential's purposes, gets `bad_request` instead of another query's place.

A cursor has no expiry and no state at the server: it stays valid while the key exists, on every node with that key. It
may name a row that was erased; a walk continues after the place where the row was.

Each restore of a backup begins a generation. A cursor of an earlier one is refused, because what it names may be lost:
numbers after it are given out again where the ledger was lost too, and rows before it were read that no longer exist.
"""

import base64
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from ..archive.query import Filter, Horizon, Kind, Order, Position
from ..errors import BadRequest, Restored
from ..mac import Mac
from .walk import Walk


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """The place in a walk. Cursors of earlier releases lack the last fields, and stay valid."""

    version: Literal[1]
    kind: Kind
    order: Order
    horizon: Annotated[int, Meta(ge=0)]
    after: Position | None
    since: Annotated[int, Meta(ge=0)] | None = None
    generation: bytes = b""


_MAC_BYTES: Final = 16
_NUMBER_BYTES: Final = 8


class Cursors:
    """Writes and reads cursors with one key. They contain a place and a MAC, no filter value.

    `generation` identifies the store since its last restore; it is empty if there was none.
    """

    def __init__(self, key: bytes, generation: bytes = b"") -> None:
        self._keyed = Mac(key)
        self._generation = generation

    def write(self, kind: Kind, order: Order, wanted: Filter, purposes: tuple[str, ...] | None, walk: Walk) -> str:
        """Return a cursor for this query at the place of the walk, whose first page was read."""
        assert walk.horizon is not None
        place = _encode(_Place(1, kind, order, walk.horizon, walk.after, walk.since, self._generation))
        return self._sealed(place, [place, _named(wanted), purposes])

    def read(self, cursor: str, kind: Kind, order: Order, wanted: Filter, purposes: tuple[str, ...] | None) -> Walk:
        """Return the walk at the place of the cursor.

        Raises:
            BadRequest: If the cursor is malformed, or was written for another query.
            Restored: If it was written before the store was restored.
        """
        place = self._opened(cursor, lambda place: [place, _named(wanted), purposes])
        try:
            where = _decode_place(place)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise _bad_cursor() from None
        if (where.kind, where.order) != (kind, order):
            raise _bad_cursor()
        self._check(where.generation)
        return Walk(Horizon(where.horizon), where.after, None if where.since is None else Horizon(where.since))

    def mark(self, kind: str, query: Any, place: int) -> str:
        """Return a cursor for a list whose place is a number, such as the feed of erasures."""
        at = place.to_bytes(_NUMBER_BYTES, "big") + self._generation
        return self._sealed(at, [kind, query, at])

    def marked(self, cursor: str, kind: str, query: Any) -> int:
        """Return the number that `mark` wrote for this query.

        Raises:
            BadRequest: If the cursor is malformed, or was written for another query.
            Restored: If it was written before the store was restored.
        """
        at = self._opened(cursor, lambda at: [kind, query, at])
        self._check(at[_NUMBER_BYTES:])
        return int.from_bytes(at[:_NUMBER_BYTES], "big")

    def mark_key(self, kind: str, query: Any, at: int, key: str) -> str:
        """Return a cursor for a list that is sorted by a number and a key, such as that of privacy requests."""
        place = _encode((at, key, self._generation))
        return self._sealed(place, [kind, query, place])

    def marked_key(self, cursor: str, kind: str, query: Any) -> tuple[int, str]:
        """Return the number and the key that `mark_key` wrote for this query.

        Raises:
            BadRequest: If the cursor is malformed, or was written for another query.
            Restored: If it was written before the store was restored.
        """
        at, key, generation = _decode_key(self._opened(cursor, lambda place: [kind, query, place]))
        self._check(generation)
        return at, key

    def _check(self, generation: bytes) -> None:
        if generation != self._generation:
            raise Restored

    def _sealed(self, place: bytes, bound: Any) -> str:
        return base64.urlsafe_b64encode(place + self._mac(bound)).decode().rstrip("=")

    def _opened(self, cursor: str, bound: Callable[[bytes], Any]) -> bytes:
        """Return the place of a cursor, after checking its MAC."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise _bad_cursor() from None
        place, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(bound(place))):  # before the place is decoded
            raise _bad_cursor()
        return place

    def _mac(self, bound: Any) -> bytes:
        return self._keyed.of(_encode(bound))[:_MAC_BYTES]


_encode: Final = msgspec.msgpack.Encoder().encode


_decode_place: Final = msgspec.msgpack.Decoder(_Place).decode
_decode_key: Final = msgspec.msgpack.Decoder(tuple[int, str, bytes]).decode


def _named(wanted: Filter) -> dict[str, Any]:
    """Return the filters that are set, with their values. As a struct of more than 15 fields they would be encoded
    otherwise than by earlier releases, whose cursors stay valid.
    """
    return msgspec.to_builtins(wanted, builtin_types=(datetime,))


def _bad_cursor() -> BadRequest:
    """Return a new error each time: an exception that is raised twice keeps the frames of both tracebacks alive."""
    return BadRequest("cursor", "not a cursor of this query; start again without it, with the same filters")
