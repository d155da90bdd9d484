"""One WebSocket that carries one dialog: frames in, frames out, and at last the reason why it ended."""

from typing import Literal, TypeAlias

import aiohttp
from aiohttp import WSMsgType

from . import close_codes, wire
from .close_codes import Lost

Socket: TypeAlias = aiohttp.ClientWebSocketResponse[Literal[False]]


class Connection:
    """A socket on which the dialog is open, from `opened` to the close."""

    def __init__(self, socket: Socket, codec: wire.Codec) -> None:
        self.codec = codec
        self._socket = socket
        self._opcode = WSMsgType.BINARY if codec.binary else WSMsgType.TEXT
        self._said: wire.Error | None = None

    async def open(self, opening: wire.Open) -> wire.Opened:
        """Return what the server says to the dialog.

        Raises:
            Lost: If the connection ended, so that another is worth a try.
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
        """Write one frame, once there is room for it.

        Raises:
            Lost: If the connection has ended; `receive` knows why.
        """
        try:
            await self._socket.send_frame(self.codec.encode(frame), self._opcode)
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(type(error).__name__) from error

    async def receive(self) -> wire.FromServer:
        """Return the next frame; kinds that only a newer SDK knows are passed over.

        Raises:
            Lost: If the connection ended, so that another is worth a try.
            ConsentfulError: If the server closed it for good.
        """
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.ERROR:  # what we found wrong, not what the server says
                raise Lost(type(message.data).__name__)
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                raise close_codes.of_close(self._socket.close_code, self._said)
            frame = self._decode(message.data)
            if isinstance(frame, wire.Error):
                self._said = frame
            if frame is not None:
                return frame

    async def close(self) -> None:
        """Say goodbye, and wait a moment for the answer; safe to call again."""
        await self._socket.close()

    def _decode(self, data: bytes) -> wire.FromServer | None:
        try:
            return self.codec.decode_server(data)
        except wire.BadFrame as bad:
            raise Lost("a frame that breaks the schema") from bad
