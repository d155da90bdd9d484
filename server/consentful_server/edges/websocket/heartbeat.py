"""Finds connections whose client is gone without a word, as a phone is that lost its network (RFC 6455 §5.5.2).

HEARD ──25 s without a byte──► PINGED ──12.5 s more──► GONE
└────◄────── any byte ──────────┘
"""

from enum import Enum
from typing import Final

_PING_AFTER_S: Final = 25.0
"""Shorter than the minute after which proxies and routers drop a connection that is silent."""

_GONE_AFTER_S: Final = _PING_AFTER_S * 1.5


class Pulse(Enum):
    """What is to be done about a client."""

    NOTHING = 0
    PING = 1
    GIVE_UP = 2


class Heartbeat:
    """Looks at one client about every second."""

    __slots__ = ("_has_pinged", "_heard_at", "_received")

    def __init__(self, now: float) -> None:
        self._received = 0
        self._heard_at = now
        self._has_pinged = False

    def look(self, received: int, now: float) -> Pulse:
        """Return what is due; `received` is how many bytes were received so far."""
        if received != self._received:
            self._received, self._heard_at, self._has_pinged = received, now, False
            return Pulse.NOTHING
        silent_s = now - self._heard_at
        if silent_s >= _GONE_AFTER_S and self._has_pinged:
            return Pulse.GIVE_UP
        if silent_s >= _PING_AFTER_S and not self._has_pinged:
            self._has_pinged = True
            return Pulse.PING
        return Pulse.NOTHING
