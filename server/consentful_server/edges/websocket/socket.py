"""aiohttp's WebSocket, below the frames of a live dialog. Satisfies `transport.FrameTransport`.

One task, in `serve`, reads the frames and hands them to a receiver, one by one, without a pause in between: whatever a
receiver does with a frame is done when the next one is handed over. It waits at four lines: for the next frame, for a
receiver that paused the frames, for a client that does not read, and for everybody else after 256 frames.

What is sent is written to the connection's buffer at once. That the buffer stays small is seen to on the other side:
while it is full, no frame is taken up, and so none is answered; then nothing is read, and the client has to wait.

Races, and the line that closes each:

(R1) Frames arrive while the receiver waits for a decision: the task waits for `_resumed`, and they stay in the queue.
(R2) The connection is lost while the task waits for a client that does not read: aiohttp ends that wait with an error.
(R3) The receiver cuts the client off from outside this task, with up to 1 MiB of frames in the queue: after 256 of
     them the task looks, waits until the connection is closed, and takes up nothing more.
(R4) The server cancels the task, in any of its waits: the receiver is told that the connection is lost.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, Literal, Protocol

from aiohttp import WSCloseCode, WSMsgType, web

from ..server.protocol import RequestProtocol
from .charging import TURN_FRAMES

_HEARTBEAT_S: Final = 25.0


class Receiver(Protocol):
    """Whoever takes up the frames. No method raises."""

    @property
    def is_cut_off(self) -> bool:
        """Whether nothing more of this client is taken up."""
        ...

    def receive(self, opcode: WSMsgType, payload: bytes) -> None:
        """Take up a text or binary message, a ping or a pong. A text is not yet known to be UTF-8 (RFC 6455 §8.1)."""
        ...

    def charge(self, frames: int) -> None:
        """Note that so many frames more were handed over."""
        ...

    def lost(self, frames: int) -> None:
        """Note that the connection is closed, or lost, and so many frames more were handed over. Called once."""
        ...

    async def closed(self) -> None:
        """Return once the connection is closed."""
        ...


class Socket(web.WebSocketResponse[Literal[False]]):
    """One client's WebSocket."""

    def __init__(self, *, is_binary: bool, protocols: Iterable[str], compress: bool, max_message_bytes: int) -> None:
        super().__init__(
            heartbeat=_HEARTBEAT_S,
            autoping=False,
            protocols=protocols,
            compress=compress,
            max_msg_size=max_message_bytes,
            decode_text=False,
        )
        self._opcode = WSMsgType.BINARY if is_binary else WSMsgType.TEXT
        self._is_close_sent = False
        self._resumed: asyncio.Future[None] | None = None

    @property
    def unread(self) -> int:
        assert self._writer is not None
        return self._writer.transport.get_write_buffer_size()

    def send(self, payload: bytes) -> None:
        self._write(self._opcode, payload)

    def send_pong(self, payload: bytes) -> None:
        self._write(WSMsgType.PONG, payload)

    def send_close(self, code: int, reason: str) -> None:
        self._write(WSMsgType.CLOSE, code.to_bytes(2, "big") + reason.encode())
        self._is_close_sent = True

    def pause_frames(self) -> None:
        if self._resumed is None:
            self._resumed = asyncio.get_running_loop().create_future()

    def resume_frames(self) -> None:
        resumed, self._resumed = self._resumed, None
        if resumed is not None and not resumed.done():
            resumed.set_result(None)

    def abort(self) -> None:
        assert self._writer is not None
        self._writer.transport.abort()

    async def serve(self, receiver: Receiver, protocol: RequestProtocol) -> None:
        """Hand the client's frames to the receiver until the connection is closed or lost."""
        frames = 0
        try:
            while True:
                if self._resumed is not None:
                    await self._resumed  # (R1)
                if protocol.writing_paused:
                    await protocol.drained()  # (R2)
                opcode, payload, _ = await self.receive()
                if opcode in _GONE:
                    break
                receiver.receive(opcode, payload)
                frames += 1
                if frames == TURN_FRAMES:
                    receiver.charge(frames)
                    frames = 0
                    await asyncio.sleep(0)
                    if receiver.is_cut_off:
                        await receiver.closed()  # (R3)
                        break
        except ConnectionError:
            pass  # the client is gone; if it misses an answer, it replays
        finally:
            receiver.lost(frames)  # (R4)

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        """Send a close frame, if none was sent; nothing is waited for.

        aiohttp calls this when the client has closed, has broken the protocol or is gone, and when the handler has
        returned. A receiver that closes calls `send_close`, and `serve` goes on until the client has answered.
        """
        self._set_closed()  # no more heartbeats
        self.send_close(code, message.decode())
        return True

    def _write(self, opcode: WSMsgType, payload: bytes) -> None:
        """Write one frame. aiohttp's `send_frame` does that too, and then waits until the client reads."""
        if self._is_close_sent:
            return  # it was the last one (RFC 6455 §5.5.1)
        writer = self._writer
        assert writer is not None
        try:
            if writer.compress and opcode < WSMsgType.CLOSE:
                writer._send_compressed_frame_sync(payload, opcode, None)  # pyright: ignore[reportPrivateUsage]
            else:
                writer._write_websocket_frame(payload, opcode, 0)  # pyright: ignore[reportPrivateUsage]
        except ConnectionError:
            pass  # the client is gone


_GONE: Final = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
