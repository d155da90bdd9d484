"""A chatbot for tests: it speaks the wire's frames with a real server, over a real socket."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from consentful import wire
from consentful.wire import Ack, Consent, Discarded, Message, Open, Opened, Stored

F = TypeVar("F", bound=wire.ServerFrame)

PATH = "/v1/dialogs/live"
_PATIENCE_S = 60.0
"""What comes, comes at once; only a test that fails waits so long, and a busy machine fails none."""
_DATA = (WSMsgType.TEXT, WSMsgType.BINARY)


class Live:
    """One connection to a live dialog. What it waits for must come, or the test fails."""

    def __init__(self, socket: ClientWebSocketResponse, codec: wire.Codec) -> None:
        self.socket = socket
        self.codec = codec
        self.said = 0

    async def open(self, customer_id: str = "c-1", **fields: Any) -> Opened:
        await self.send(Open(customer_id, **fields))
        return await self.receive(Opened)

    async def say(self, text: str, **fields: Any) -> None:
        """Say it and wait until it is held."""
        self.said += 1
        await self.send(Message(self.said, text, **fields))
        while (await self.receive(Ack)).seq < self.said:
            pass

    async def grant(self, **fields: Any) -> Stored:
        await self.send(Consent(granted=True, last_seq=self.said, **fields))
        return await self.receive(Stored)

    async def decline(self, *, retract: bool = False) -> Discarded:
        await self.send(Consent(granted=False, last_seq=self.said, retract=retract))
        return await self.receive(Discarded)

    async def send(self, frame: wire.FromClient) -> None:
        await self.send_raw(self.codec.encode(frame))

    async def send_raw(self, data: bytes) -> None:
        await self.socket.send_frame(data, WSMsgType.BINARY if self.codec.binary else WSMsgType.TEXT)

    async def receive(self, kind: type[F]) -> F:
        """Return the next frame, which is of this kind. Acks are passed over, unless one is waited for."""
        while True:
            frame = await self.next_frame()
            if isinstance(frame, kind):
                return frame
            assert isinstance(frame, Ack), f"{frame} instead of {kind.__name__}"

    async def next_frame(self) -> wire.FromServer:
        """Return whatever frame comes next."""
        async with asyncio.timeout(_PATIENCE_S):
            message = await self.socket.receive()
        assert message.type in _DATA, f"the server closed ({self.socket.close_code})"
        frame = self.codec.decode_server(message.data)
        assert frame is not None
        return frame

    async def until_closed(self) -> tuple[list[wire.FromServer], int | None]:
        """Return the frames that still came, and the close code."""
        frames: list[wire.FromServer] = []
        async with asyncio.timeout(_PATIENCE_S):
            while (message := await self.socket.receive()).type in _DATA:
                frame = self.codec.decode_server(message.data)
                assert frame is not None
                frames.append(frame)
        return frames, message.data if message.type is WSMsgType.CLOSE else self.socket.close_code

    async def closed(self) -> int | None:
        """Return the close code; nothing but acks comes before it."""
        frames, code = await self.until_closed()
        assert all(isinstance(frame, Ack) for frame in frames), frames
        return code


@asynccontextmanager
async def connect(
    http: ClientSession,
    url: str,
    *,
    token: str | None = None,
    protocols: Sequence[str] = (),
    headers: dict[str, str] | None = None,
) -> AsyncGenerator[Live]:
    """Open a connection; with a token it sends `Authorization`."""
    given = (headers or {}) | ({"Authorization": f"Bearer {token}"} if token else {})
    async with http.ws_connect(url + PATH, protocols=protocols, headers=given, autoping=True) as socket:
        yield Live(socket, wire.CODECS[socket.protocol or wire.JSON])
