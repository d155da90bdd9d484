"""A WebSocket below the frames of a live dialog: bytes in and out. Satisfies `FrameTransport` and `charging.Source`.

It is the protocol of its transport, from the answer to the handshake to the last byte, and no task waits for it. What
the event loop reads is cut into frames by aiohttp's reader (in C), and all frames of a read are handed over at once, in
order: the receiver takes up as many of them as it can judge together, and is asked again for the next ones.

    OPEN ──the client closes, or breaks the protocol──► ENDED: nothing is taken up ──► the transport closes
     └──the transport is lost──► ENDED

Frames are held back for three reasons: the receiver waits for a decision (`pause_frames`), the client does not read,
and the connection had its turn, so that it is that of others: 64 frames, or 16 KiB. Then nothing more is read from the
client either, and so what is held back is at most what one read brought. A read can bring 256 KiB, which is thousands
of frames, so it is cut into them 16 KiB at a time; what is not cut yet waits as bytes.

What is sent is written to the transport at once. That its buffer stays small is seen to on the other side: while it is
full, no frame is taken up, and so none is answered.

Races, and the line that closes each:

(R1) Frames are taken up again from within a frame's own handling: `_take_up_again` only schedules the work, so that one
     frame is done before the next is handed over.
(R2) Frames arrive when reading is paused already, because the loop had read them: they queue behind those held back.
(R3) The client is cut off with frames held back: `stop_reading` drops them.
(R4) The client closes and then never reads: the timer aborts.
(R5) The transport is lost when the client had closed, or the other way round: `_end` acts once.
(R6) The transport is gone when the receiver still sends: `_transport` is None, and what is sent is dropped.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final, Protocol

from aiohttp import WSCloseCode, WSMsgType
from aiohttp._websocket.reader import WebSocketDataQueue  # the reader in C takes no other
from aiohttp.http import WebSocketError, WebSocketReader

from ...telemetry.logs import where
from .charging import CHARGED_FRAMES
from .closing import CLOSE_WITHIN_S
from .deflate import Deflate
from .sockets import Sockets
from .transport import Frame

_log: Final = logging.getLogger("consentful.live")

_CLOSE: Final = WSMsgType.CLOSE
_FINAL: Final = 0x80
_COMPRESSED: Final = 0x40
_SHORT: Final = 125
_MEDIUM: Final = 0xFFFF

TURN_FRAMES: Final = 64
"""Frames of one connection that are handed over in one turn of the event loop, or two."""
_ANSWER_FRAMES: Final = 3
"""An answer costs as much of the turn as so many frames: it is encoded, and perhaps compressed."""
_TURN_BYTES: Final = 16 * 1024

_DECISION: Final = 1
READER: Final = 2
_OTHERS: Final = 4
"""Why frames are held back: a decision is under way, the client does not read, it is the turn of others."""


class Receiver(Protocol):
    """Whoever takes up the frames. No method waits, and none raises."""

    def receive(self, frames: Sequence[Frame]) -> int:
        """Take up the first frames, one at least, and return how many that were.

        A frame is a text or binary message, a ping or a pong; the first one is no close frame, and none behind one is
        taken up. A text is not yet known to be UTF-8 (RFC 6455 §8.1).
        """
        ...

    def charge(self, frames: int = 0) -> None:
        """Note that so many frames more were handed over, or that much was received."""
        ...

    def lost(self, frames: int) -> None:
        """Note that the connection is closed, or lost, and so many frames more were handed over. Called once."""
        ...


class Socket(asyncio.Protocol):
    """One client's WebSocket."""

    __slots__ = (
        "_deflate",
        "_first_byte",
        "_frames",
        "_held_back_for",
        "_is_close_sent",
        "_is_paused",
        "_loop",
        "_reader",
        "_sockets",
        "_timer",
        "_transport",
        "_turn_ends",
        "_uncut",
        "_unwritten",
        "_waiting",
        "alarm_at",
        "has_stopped_reading",
        "received",
        "receiver",
    )

    def __init__(self, sockets: Sockets, *, is_binary: bool, deflate: Deflate | None, max_message_bytes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._transport: asyncio.Transport | None = None
        self._first_byte = _FINAL | (WSMsgType.BINARY if is_binary else WSMsgType.TEXT)
        self._deflate = deflate
        self._waiting: list[Frame] = []
        """Frames that are read and not taken up yet."""
        self._reader: WebSocketReader | None = WebSocketReader(
            _Frames(self, self._waiting), max_message_bytes, compress=deflate is not None, decode_text=False
        )
        self._uncut = memoryview(b"")
        self._unwritten = b""
        self._held_back_for = 0
        self._is_paused = False
        self._frames = 0
        self._turn_ends = TURN_FRAMES
        self._is_close_sent = False
        self._timer: asyncio.TimerHandle | None = None
        self.receiver: Receiver | None = None
        """Set before the connection is made; None again after the end."""
        self.received = 0
        self.alarm_at = 0
        self.has_stopped_reading = False

    # From the event loop.

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._transport = transport
        self._sockets.add(self)

    def data_received(self, data: bytes) -> None:
        if self._reader is None or self.has_stopped_reading:
            return
        self.received += len(data)
        self._turn_ends = self._frames + TURN_FRAMES
        if self._is_paused or len(data) > _TURN_BYTES:
            self._uncut = memoryview(bytes(self._uncut) + data)  # (R2)
            self._cut()
            if self._uncut:
                self._pause()
        else:
            self._reader.feed_data(data)  # puts each whole frame behind those that wait, see `_Frames`
            self._hand_over()
        if self._frames >= CHARGED_FRAMES:
            self._charge_frames()
        if self.received > self.alarm_at and self.receiver is not None:
            self.receiver.charge()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._transport = None  # (R6)
        self._sockets.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        self._held_back_for |= READER

    def resume_writing(self) -> None:
        self._take_up_again(READER)

    # From aiohttp's reader.

    def fail(self, error: BaseException) -> None:
        """Close, after what came before: the client broke the protocol."""
        self._hand_over()
        if isinstance(error, WebSocketError):
            self._close(error.code)
        else:
            _log.error("connection failed", extra=where(error))
            self._close(WSCloseCode.INTERNAL_ERROR)

    # From the receiver.

    @property
    def unread(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, payload: bytes, *, more: bool = False) -> None:
        self._turn_ends -= _ANSWER_FRAMES
        if self._deflate is None:
            self._write(self._first_byte, payload, more)
        elif not self._is_close_sent:
            self._write(self._first_byte | _COMPRESSED, self._deflate(payload), more)

    def send_ping(self) -> None:
        self._write(_FINAL | WSMsgType.PING, b"")

    def send_pong(self, payload: bytes) -> None:
        self._write(_FINAL | WSMsgType.PONG, payload)

    def send_close(self, code: int, reason: str) -> None:
        self._write(_FINAL | WSMsgType.CLOSE, code.to_bytes(2, "big") + reason.encode())
        self._is_close_sent = True

    def pause_frames(self) -> None:
        self._held_back_for |= _DECISION

    def resume_frames(self) -> None:
        self._take_up_again(_DECISION)

    def stop_reading(self) -> None:
        """Read nothing more: what the client still sends waits on its own side."""
        self.has_stopped_reading = True
        self._waiting.clear()  # (R3)
        self._uncut = memoryview(b"")
        self._pause_reading()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # How frames are held back and taken up again.

    def _hand_over(self) -> None:
        """Hand over the frames that wait, until one says to wait again, or the turn ends."""
        waiting = self._waiting
        while waiting and self.receiver is not None:
            if self._held_back_for:
                self._pause()
                return
            if waiting[0][0] is _CLOSE:
                self._close(WSCloseCode.OK)
                return
            left = self._turn_ends - self._frames
            taken = self.receiver.receive(waiting if len(waiting) <= left else waiting[: max(1, left)])
            del waiting[:taken]  # nothing, if the receiver has stopped reading
            self._frames += taken
            if self._frames >= self._turn_ends:
                self._let_others()

    def _let_others(self) -> None:
        """Hold back what follows until the others had their turn."""
        if not self._held_back_for & _OTHERS:
            self._held_back_for |= _OTHERS
            self._loop.call_soon(self._take_up_again, _OTHERS)
            self._charge_frames()

    def _charge_frames(self) -> None:
        if self._frames >= CHARGED_FRAMES and self.receiver is not None:
            frames, self._frames = self._frames, 0
            self.receiver.charge(frames)

    def _pause(self) -> None:
        """Read nothing while frames are held back."""
        if not self._is_paused:
            self._is_paused = True
            self._pause_reading()

    def _cut(self) -> None:
        """Cut what was read into frames, as many bytes as a turn has; the rest has to wait."""
        if self._reader is None or self._held_back_for or self._waiting:
            return
        part, self._uncut = self._uncut[:_TURN_BYTES], self._uncut[_TURN_BYTES:]
        self._reader.feed_data(bytes(part))
        self._hand_over()
        if self._uncut:
            self._pause()
            self._let_others()  # however few frames it was: one that never ends, or many that are never handed over

    def _take_up_again(self, reason: int) -> None:
        self._held_back_for &= ~reason
        if self._is_paused and not self._held_back_for:
            self._loop.call_soon(self._work_off)  # (R1)

    def _work_off(self) -> None:
        """Hand over what was held back, until a frame says to wait again; then read on."""
        self._turn_ends = self._frames + TURN_FRAMES
        self._hand_over()
        self._cut()
        if not self._waiting and not self._uncut and self._is_paused:
            self._is_paused = False
            self._resume_reading()

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing() and not self.has_stopped_reading:
            self._transport.resume_reading()

    # How it ends.

    def _close(self, code: int) -> None:
        """Send a close frame, if none was sent, and close the transport once the client has read it."""
        if not self._is_close_sent:
            self.send_close(code, "")
        self._end()
        if self._transport is None:
            return
        is_unread = self.unread > 0
        self._transport.close()
        if is_unread:
            self._timer = self._loop.call_later(CLOSE_WITHIN_S, self.abort)  # (R4)

    def _end(self) -> None:
        """Take nothing up any more, and tell the receiver."""
        receiver, self.receiver = self.receiver, None  # (R5)
        self._waiting.clear()
        self._uncut = memoryview(b"")
        self._reader = None  # the two refer to each other, and only the cycle collector would free them
        if receiver is not None:
            receiver.lost(self._frames)

    def _write(self, first_byte: int, payload: bytes, more: bool = False) -> None:
        """Write one unmasked frame (RFC 6455 §5.2), unless the last one was written (§5.5.1)."""
        if self._is_close_sent or self._transport is None:
            return
        size = len(payload)
        if size <= _SHORT:
            head = bytes((first_byte, size))
        elif size <= _MEDIUM:
            head = bytes((first_byte, 126)) + size.to_bytes(2, "big")
        else:
            head = bytes((first_byte, 127)) + size.to_bytes(8, "big")
        if more:
            self._unwritten += head + payload
        elif self._unwritten:
            self._transport.write(self._unwritten + head + payload)
            self._unwritten = b""
        else:
            self._transport.write(head + payload)


class _Frames(WebSocketDataQueue):
    """Where aiohttp's reader puts each message: not into this queue, but among the socket's frames that wait."""

    __slots__ = ("_append", "_socket")

    def __init__(self, socket: Socket, waiting: list[Frame]) -> None:  # the queue itself stays empty: nothing is set up
        self._socket = socket
        self._append = waiting.append

    def feed_data(self, data: Any, size: int) -> None:
        self._append(data)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        self._socket.fail(exc)
