"""Cursors: opaque, unforgeable, of one query only. Pure."""

import base64
import hmac
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from ..archive.query import Filter, Horizon, Kind, Order, Position
from ..errors import BadRequest
from .walk import Walk


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a walk stands. Cursors that were written before `since` was added have none, and stay good."""

    version: Literal[1]
    kind: Kind
    order: Order
    horizon: Annotated[int, Meta(ge=0)]
    after: Position | None
    since: Annotated[int, Meta(ge=0)] | None = None


_MAC_BYTES: Final = 16


class Cursors:
    """Writes and reads cursors: each holds a position and a MAC over it and the query, none of the query's values."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, kind: Kind, order: Order, wanted: Filter, purposes: tuple[str, ...] | None, walk: Walk) -> str:
        """Return a cursor of this query, which stands where the walk does."""
        place = _encode(_Place(1, kind, order, walk.horizon, walk.after, walk.since))
        return self._sealed(place, [place, wanted, purposes])

    def read(self, cursor: str, kind: Kind, order: Order, wanted: Filter, purposes: tuple[str, ...] | None) -> Walk:
        """Return where the walk of this very query stands.

        Raises:
            BadRequest: If the cursor is malformed, or another query's.
        """
        place = self._opened(cursor, lambda place: [place, wanted, purposes])
        try:
            where = _decode_place(place)
        except msgspec.MsgspecError:
            raise _bad_cursor() from None
        if (where.kind, where.order) != (kind, order):
            raise _bad_cursor()
        return Walk(Horizon(where.horizon), where.after, None if where.since is None else Horizon(where.since))

    def mark(self, kind: str, query: Any, place: int) -> str:
        """Return a cursor of a list of another kind, which stands at a number."""
        at = place.to_bytes(8, "big")
        return self._sealed(at, [kind, query, at])

    def marked(self, cursor: str, kind: str, query: Any) -> int:
        """Return the number at which the cursor of this very query stands.

        Raises:
            BadRequest: If the cursor is malformed, or another query's.
        """
        return int.from_bytes(self._opened(cursor, lambda at: [kind, query, at]), "big")

    def _sealed(self, place: bytes, bound: Any) -> str:
        return base64.urlsafe_b64encode(place + self._mac(bound)).decode().rstrip("=")

    def _opened(self, cursor: str, bound: Callable[[bytes], Any]) -> bytes:
        """Return the place inside a cursor that is bound to this."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise _bad_cursor() from None
        place, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(bound(place))):
            raise _bad_cursor()
        return place

    def _mac(self, bound: Any) -> bytes:
        return hmac.digest(self._key, _encode(bound), "sha256")[:_MAC_BYTES]


_encode: Final = msgspec.msgpack.Encoder().encode


_decode_place: Final = msgspec.msgpack.Decoder(_Place).decode


def _bad_cursor() -> BadRequest:
    """Return a new one each time: an exception that is raised again keeps every frame that it ever came through."""
    return BadRequest("cursor", "not a cursor of this query; start again without it, with the same filters")
