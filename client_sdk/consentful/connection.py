"""One WebSocket that carries one dialog: frames in, frames out, and the reason for its end."""

from typing import Literal, TypeAlias

import aiohttp
from aiohttp import WSMsgType

from . import close_codes, wire
from .close_codes import Lost

Socket: TypeAlias = aiohttp.ClientWebSocketResponse[Literal[False]]


class Connection:
    """A socket for one dialog, from the handshake to the close."""

    def __init__(self, socket: Socket, codec: wire.Codec) -> None:
        self.codec = codec
        self._socket = socket
        self._opcode = WSMsgType.BINARY if codec.binary else WSMsgType.TEXT
        self._last_error: wire.Error | None = None

    async def open(self, opening: wire.Open) -> wire.Opened:
        """Send `open`, and return the server's `opened`.

        Raises:
            Lost: If the connection ended, so that another one may succeed.
            ConsentfulError: If the dialog was refused.
        """
        await self.send(opening)
        while True:
            frame = await self.receive()
            if isinstance(frame, wire.Opened):
                return frame
            if isinstance(frame, wire.Error) and (end := close_codes.of_error(frame)):
                raise end

    async def send(self, frame: wire.FromClient) -> None:
        """Send one frame; wait while the transport's buffer is full.

        Raises:
            Lost: If the connection has ended; `receive` raises the reason.
        """
        try:
            # `send_frame` does not encode again; it waits while the transport's buffer is full.
            await self._socket.send_frame(self.codec.encode(frame), self._opcode)
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(type(error).__name__) from error

    async def receive(self) -> wire.FromServer:
        """Return the next frame; skip types that this SDK does not know.

        Raises:
            Lost: If the connection ended, so that another one may succeed.
            ConsentfulError: If the server closed it for good.
        """
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.ERROR:  # aiohttp found a protocol error; no close code of the server
                raise Lost(type(message.data).__name__)
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                raise close_codes.of_close(self._socket.close_code, self._last_error)
            frame = self._decode(message.data)
            if isinstance(frame, wire.Error):
                self._last_error = frame
            if frame is not None:
                return frame

    async def close(self) -> None:
        """Close the socket, and wait briefly for the server's close frame; may be called again."""
        await self._socket.close()

    def _decode(self, data: bytes) -> wire.FromServer | None:
        try:
            return self.codec.decode_server(data)
        except wire.BadFrame as bad:
            raise Lost("malformed frame") from bad
