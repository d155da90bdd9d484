"""One ack in each turn of the event loop, for all messages that were read in it.

    NOT DUE ──soon──► DUE, and a callback scheduled ──the callback, or flush──► NOT DUE

Acks are cumulative, so one for many messages tells a client as much as one for each, and costs a fraction. The frames
of one read are handed over without a pause in between; the callback runs after all of them.

Everything runs on the event loop's thread; the connection calls `soon` and `flush`.

Races, and the line that closes each:

(R1) Another answer is sent while an ack is due: the connection calls `flush` first, so that a client never reads an
     outcome before the ack of a message that precedes it. The callback then finds no ack due.
(R2) The connection closes while an ack is due: the callback runs, and the transport drops what comes after a close.
(R3) A message comes between `flush` and the callback: it is acked by that callback, and `soon` schedules no other.
"""

import asyncio

from consentful import wire

from .transport import FrameTransport


class Acks:
    """The acks of one connection."""

    __slots__ = ("_codec", "_is_scheduled", "_loop", "_transport", "is_due", "seq")

    def __init__(self, transport: FrameTransport, codec: wire.Codec) -> None:
        self._transport = transport
        self._codec = codec
        self._loop = asyncio.get_running_loop()
        self._is_scheduled = False
        self.seq = 0
        """The last message to ack. While an ack is due, the connection raises this alone."""
        self.is_due = False

    def soon(self, seq: int) -> None:
        """Ack every message up to `seq`, at the end of this turn of the loop."""
        self.seq = seq
        self.is_due = True
        if not self._is_scheduled:  # (R3)
            self._is_scheduled = True
            self._loop.call_soon(self._run)

    def flush(self) -> None:
        """Send the ack that is due, if one is."""
        if self.is_due:
            self.is_due = False
            self._transport.send(self._codec.encode(wire.Ack(self.seq)))

    def _run(self) -> None:
        self._is_scheduled = False
        self.flush()  # (R1), (R2)
