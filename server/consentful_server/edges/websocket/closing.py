"""How a live connection is closed: a close frame, the client's answer, and an end to waiting for it.

    OPEN ──begin──► CLOSING ──the client answers, or is gone: lost──► CLOSED
     │                 └── no answer in time: abort ──► CLOSED
     └── the client closes, or is gone: lost ──► CLOSED

aiohttp's own close drops the connection at once where another task waits for a frame, and the reset that answers what
the client still sends could overtake the close code. So the close frame is sent by itself, further frames are read and
ignored, and the connection stays until the client has answered (RFC 6455 §7.1.1), for 10 s at most.

Everything runs on the event loop's thread. `begin` and `abort` are called by the connection, `lost` by the task that
reads its frames, once; `closed` is awaited by a stopping server and by a connection that was cut off.

Races, and the line that closes each:

(R1) Two things close the connection, say a deadline and a stopping server: `begin` acts once, for the first.
(R2) Both sides close at the same time: the client's close frame counts as its answer, and ours as the answer to it.
     Nothing has to be done for that: no close frame is sent twice, and `lost` follows in either case.
(R3) The client never answers, or reads nothing, so that the close frame never leaves: the time-out aborts.
(R4) The client answers in time: `lost` calls it off, because it would abort a connection that is gone.
(R5) `closed` is awaited when all is over: it returns at once.
"""

import asyncio
from typing import Final

from ..timeouts import Timeouts
from .transport import FrameTransport

CLOSE_WITHIN_S: Final = 10.0
"""How long a client may take to read what waits for it and to answer the close frame."""

SLOW_AFTER_S: Final = 30.0
"""How long a client may read nothing of what was sent to it."""


class CloseHandshake:
    """The closing of one connection (RFC 6455 §7.1.2). `timeouts` are of `CLOSE_WITHIN_S`."""

    __slots__ = ("_is_closed", "_timeouts", "_timer", "_transport", "_waiters", "has_begun")

    def __init__(self, transport: FrameTransport, timeouts: Timeouts) -> None:
        self._transport = transport
        self._timeouts = timeouts
        self._timer: asyncio.TimerHandle | None = None
        """Of one that is to be over sooner."""
        self._waiters: asyncio.Event | None = None
        self._is_closed = False
        self.has_begun = False

    def begin(self, code: int, reason: str, *, within_s: float | None = None) -> None:
        """Send the close frame, and abort the connection if it is not closed in so many seconds (by default 10)."""
        if self.has_begun or self._is_closed:
            return  # (R1)
        self.has_begun = True
        self._transport.send_close(code, reason)
        if within_s is None:
            self._timeouts.begin(self.abort)  # (R3)
        else:
            self._timer = asyncio.get_running_loop().call_later(within_s, self.abort)

    def abort(self) -> None:
        """Drop the connection, without a close frame that is not sent already."""
        self._transport.abort()
        self.lost()

    def lost(self) -> None:
        """Note that the connection is closed: the client has answered, or is gone."""
        self._is_closed = True
        self._timeouts.call_off(self.abort)  # (R4)
        if self._timer is not None:
            self._timer.cancel()
        if self._waiters is not None:
            self._waiters.set()

    async def closed(self) -> None:
        """Return once the connection is closed."""
        if self._is_closed:
            return  # (R5)
        if self._waiters is None:
            self._waiters = asyncio.Event()
        await self._waiters.wait()


class SlowReader:
    """Tells whether a client reads what it is sent."""

    __slots__ = ("_since", "_unread")

    def __init__(self) -> None:
        self._unread = 0
        self._since = 0.0

    def is_stuck(self, unread: int, now: float) -> bool:
        """Whether the client has read nothing for 30 s, though something waits; `unread` is how many bytes do.

        A count that changes is taken for reading, even where it grows. A client that reads nothing gets there all the
        same: as soon as the buffer is full, nothing more is read from it, and so nothing more is sent to it.
        """
        if unread == 0 or unread != self._unread:
            self._unread, self._since = unread, now
        return now - self._since > SLOW_AFTER_S
