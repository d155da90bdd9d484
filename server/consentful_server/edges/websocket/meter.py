"""What a connection sends, beside its words: counted as it comes, charged to the client a while later.

A frame costs an addition here; the shares are looked at once in a while, before they can be exceeded by much.
"""

from contextlib import suppress
from typing import Final

from ...errors import TooOften
from ...limits.buckets import Bucket, Rate
from ...service import Service
from ..server.protocol import RequestProtocol

TURN_FRAMES: Final = 256
"""After so many frames of one connection the others have their turn."""

_TURN_BYTES: Final = 128 * 1024
_FRAME_BYTES: Final = 6
"""The least that a client's frame has beside its payload (RFC 6455 §5.2)."""

_FREE_BYTES: Final = 64 * 1024
"""Of a frame that is not whole yet, and of those that wait: counted with every dialog already."""

_WAITING_BYTES: Final = 1024 * 1024
"""What may wait here beside a frame that is not whole yet: aiohttp stops reading before it is more."""

_PINGS: Final = Rate(burst=100, per_second=1)
"""A client that keeps its line open pings a few times a minute."""


class Meter:
    """One connection's counters; `read` is kept by who reads its frames."""

    __slots__ = (
        "_charged",
        "_clients",
        "_clock",
        "_line",
        "_most",
        "_names",
        "_pings",
        "_registry",
        "_waiting",
        "read",
    )

    def __init__(self, service: Service, line: RequestProtocol, names: tuple[str, ...]) -> None:
        self._line = line
        self._names = names
        self._clients = service.clients
        self._registry = service.registry
        self._clock = service.clock
        self._most = service.limits.max_frame_bytes + _WAITING_BYTES
        self._charged = 0
        self._waiting = 0
        self._pings: Bucket | None = None
        self.read = 0
        """Bytes of payload that were taken up."""

    @property
    def is_behind(self) -> bool:
        """Whether anything came that was not charged for, or was taken up that is still counted."""
        return self._waiting > 0 or self._line.received != self._charged

    def charge(self, frames: int) -> None:
        """Charge the client for these frames and for all bytes that came; what is no whole frame yet counts as memory.

        Raises:
            TooOften: If it was more than the client's share.
            Overloaded: If there is no room for it.
        """
        received = self._line.received
        size, self._charged = received - self._charged, received
        self.read = min(self.read + frames * _FRAME_BYTES, received)  # what was compressed comes out as more
        self._line.alarm_at = received + _TURN_BYTES
        unread = received - self.read
        if frames:
            self.read += max(0, unread - self._most)
        elif unread > self._most:  # no frame is so large: these are pieces of one, as many as fit
            frames = unread // _FRAME_BYTES
        self._count(max(0, unread - _FREE_BYTES))
        self._clients.charge(self._names, frames, size)

    @property
    def is_stopped(self) -> bool:
        return self._line.has_stopped_reading

    def stop(self) -> None:
        """Let the client send no more."""
        self._line.stop_reading()

    def ping(self) -> None:
        """Let the client have another answer to a ping.

        Raises:
            TooOften: If it had too many.
        """
        if self._pings is None:
            self._pings = Bucket(_PINGS)
        wait_s = self._pings.take(self._clock.monotonic())
        if wait_s:
            raise TooOften(max(1, round(wait_s)))

    def close(self, frames: int) -> None:
        """Charge for the rest, which is owed; what was counted as memory is given back."""
        self.read = self._line.received
        with suppress(TooOften):
            self.charge(frames)

    def _count(self, waiting: int) -> None:
        more = waiting - self._waiting
        if more > 0:
            self._registry.take(more)
        else:
            self._registry.give_back(-more)
        self._waiting = waiting
