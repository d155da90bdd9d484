"""What a connection sends, counted as it comes and charged to its client a while later.

A frame costs an addition here. The client's share is looked at after 128 KiB, after 256 frames, about every second and
at the end: before it can be exceeded by much.

    received   bytes that were read from the socket since the upgrade
    read       of these, the bytes of whole frames that were taken up: their payload when it is taken up, their header
               (6 bytes, RFC 6455 §5.2) when the frame is charged
    unread     received - read: frames that are held back, and the parts of a frame that is not whole yet
    charged    of `received`, the bytes that the client has paid for

64 KiB of `unread` belong to the memory of any dialog; what exceeds them is counted as memory of this process.

Everything runs on the event loop's thread. The socket adds to `received` and rings the alarm, the connection adds to
`read` and calls the rest.

Races, and the line that closes each:

(R1) A client sends much in one read, before any of it is taken up: the alarm rings right after that read.
(R2) A client sends a frame that never ends, or fragments that never make a message: they are never `read`, so they
     are counted as memory; fragments beyond the largest frame are charged as frames, as many as they can be.
(R3) A compressed frame comes out larger than it was received: `read` never exceeds `received`.
(R4) The connection ends with frames that were never taken up: `close` charges for all that was received.
"""

from contextlib import suppress
from typing import Final, Protocol

from ...errors import TooOften
from ...limits.buckets import Bucket, Rate
from ...service import Service

CHARGED_FRAMES: Final = 256
"""After so many frames a connection is charged."""

_TURN_BYTES: Final = 128 * 1024
_FRAME_BYTES: Final = 6
"""The smallest header of a client's frame (RFC 6455 §5.2)."""

_FREE_BYTES: Final = 64 * 1024
"""Unread bytes that are part of what every dialog is counted with."""

_QUEUE_BYTES: Final = 1024 * 1024
"""Unread bytes beside those of an unfinished frame; the socket stops reading before there are more."""

_PINGS: Final = Rate(burst=100, per_second=1)
"""A client that keeps its connection open pings a few times a minute."""


class Source(Protocol):
    """The bytes of one client; `socket.Socket` counts them."""

    received: int
    """Bytes that were received since the upgrade."""
    alarm_at: int
    """A read that brings `received` above this is charged at once."""

    def stop_reading(self) -> None: ...


class Charging:
    """What one connection sends, and who pays for it."""

    __slots__ = (
        "_charged",
        "_clients",
        "_clock",
        "_counted",
        "_is_open",
        "_max_unread",
        "_names",
        "_pings",
        "_registry",
        "_source",
        "read",
    )

    def __init__(self, service: Service, source: Source, names: tuple[str, ...]) -> None:
        self._source = source
        self._names = names
        self._clients = service.clients
        self._registry = service.registry
        self._clock = service.clock
        self._max_unread = service.limits.max_frame_bytes + _QUEUE_BYTES
        self._charged = 0
        self._counted = 0
        self._is_open = False
        self._pings: Bucket | None = None
        self.read = 0
        source.alarm_at = _TURN_BYTES

    @property
    def received(self) -> int:
        return self._source.received

    def open(self) -> None:
        """Count the connection among those that the client holds, until `close`."""
        self._clients.hold(*self._names)
        self._is_open = True

    @property
    def is_behind(self) -> bool:
        """Whether something was received that is not charged yet, or memory counted that may be free by now."""
        return self._counted > 0 or self._source.received != self._charged

    def charge(self, frames: int) -> None:
        """Charge the client for so many frames that were taken up, and for all bytes that were received.

        Raises:
            TooOften: If the client has sent more than its share.
            Overloaded: If there is no memory left for what is unread.
        """
        received = self._source.received
        size, self._charged = received - self._charged, received
        self.read = min(self.read + frames * _FRAME_BYTES, received)  # (R3)
        self._source.alarm_at = received + _TURN_BYTES  # (R1)
        unread = received - self.read
        if frames:
            self.read += max(0, unread - self._max_unread)
        elif unread > self._max_unread:
            frames = unread // _FRAME_BYTES  # (R2)
        self._count(max(0, unread - _FREE_BYTES))
        self._clients.charge(self._names, frames, size)

    def stop(self) -> None:
        """Read nothing more from the client."""
        self._source.stop_reading()

    def ping(self) -> None:
        """Charge the client for a ping.

        Raises:
            TooOften: If it sent too many.
        """
        if self._pings is None:
            self._pings = Bucket(_PINGS)
        wait_s = self._pings.take(self._clock.monotonic())
        if wait_s:
            raise TooOften(max(1, round(wait_s)), limit="pings")

    def close(self, frames: int) -> None:
        """Charge for what is left, which the client then owes, and give the memory back. Called once."""
        if self._is_open:
            self._clients.release(*self._names)
        self.read = self._source.received  # (R4)
        with suppress(TooOften):
            self.charge(frames)

    def _count(self, size: int) -> None:
        more = size - self._counted
        if more > 0:
            self._registry.take(more)
        else:
            self._registry.give_back(-more)
        self._counted = size
