"""A server that says what the test tells it to say, over a real socket, connection by connection."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ssl import SSLContext
from typing import Any, Final, TypeVar

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from consentful import Dialog, wire

T = TypeVar("T")
F = TypeVar("F", bound=wire.ClientFrame)

PATIENCE_S: Final = 5.0
"""After which a test that waits for something has failed."""

NOTICE: Final = wire.Notice("n-1", "en", "May we keep this?", "00" * 32, ["improve-chatbot", "train"])
SO_MANY_503: Final[list[tuple[int, Mapping[str, str]]]] = [(503, {})] * 100
STORED_AT: Final = datetime(2026, 1, 2, tzinfo=UTC)


class Gone(Exception):  # noqa: N818 - what happened
    """The client has closed the connection."""


class Peer:
    """The server's end of one connection."""

    def __init__(self, request: web.Request, ws: web.WebSocketResponse) -> None:
        self.request = request
        self.codec = wire.CODECS[ws.ws_protocol or wire.JSON]
        self.released = asyncio.Event()
        self.opening: wire.Open | None = None
        self._ws = ws

    async def receive(self) -> wire.FromClient:
        message = await asyncio.wait_for(self._ws.receive(), PATIENCE_S)
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            raise Gone
        return self.codec.decode_client(message.data)

    async def expect(self, kind: type[F]) -> F:
        frame = await self.receive()
        assert isinstance(frame, kind), frame
        return frame

    async def send(self, frame: wire.FromServer) -> None:
        await self.send_raw(self.codec.encode(frame))

    async def send_raw(self, data: bytes) -> None:
        if self.codec.binary:
            await self._ws.send_bytes(data)
        else:
            await self._ws.send_str(data.decode())

    async def open(self, limits: wire.Limits | None = None, notice: wire.Notice = NOTICE) -> wire.Open:
        """Answer the client's `open`."""
        self.opening = await self.expect(wire.Open)
        assert self.opening.dialog_id is not None
        await self.send(wire.Opened(self.opening.dialog_id, notice, limits or wire.Limits()))
        return self.opening

    async def hear(self, count: int, *, acking: bool = True) -> list[wire.Message]:
        """Return the next messages, acked."""
        messages = [await self.expect(wire.Message) for _ in range(count)]
        if acking and messages:
            await self.send(wire.Ack(messages[-1].seq))
        return messages

    async def hear_out(self) -> tuple[list[wire.Message], wire.Consent]:
        """Return everything up to the question of consent, and that."""
        messages: list[wire.Message] = []
        while isinstance(frame := await self.receive(), wire.Message):
            messages.append(frame)
        assert isinstance(frame, wire.Consent), frame
        return messages, frame

    async def store(self, messages: int) -> wire.Stored:
        """Answer yes, and close."""
        stored = self.stored(messages)
        await self.send(stored)
        await self.close(1000)
        return stored

    def stored(self, messages: int) -> wire.Stored:
        return wire.Stored(self._dialog_id, messages, STORED_AT, "a.b.c", "code-1")

    async def discard(self, messages: int) -> None:
        """Answer no, and close."""
        await self.send(wire.Discarded(self._dialog_id, messages))
        await self.close(1000)

    async def close(self, code: int) -> None:
        await self._ws.close(code=code)
        self.released.set()

    async def drop(self) -> None:
        """Vanish without a word, as a killed server does."""
        transport = self.request.transport
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
        self.released.set()

    async def until_left(self) -> None:
        """Return once the client has left, having said nothing more."""
        with pytest.raises(Gone):
            await self.receive()
        self.released.set()

    @property
    def _dialog_id(self) -> str:
        assert self.opening is not None
        assert self.opening.dialog_id is not None
        return self.opening.dialog_id


class ScriptedServer:
    """Hands each connection to the test, which plays the server's part."""

    def __init__(self, tls: SSLContext | None = None) -> None:
        self._tls = tls
        self.refusals: deque[tuple[int, Mapping[str, str]]] = deque()
        """How the next upgrades are refused: status and headers."""
        self.requests: list[web.Request] = []
        self.subprotocols: tuple[str, ...] = (wire.JSON, wire.MSGPACK)
        self.url = ""
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()
        self._arrival = asyncio.Condition()
        self._live: list[Peer] = []

    async def until_asked(self, times: int) -> None:
        """Return once so many connections were asked for, refused ones among them."""
        async with asyncio.timeout(PATIENCE_S), self._arrival:
            await self._arrival.wait_for(lambda: len(self.requests) >= times)

    async def accept(self) -> Peer:
        """Return the next connection, on which nothing was said yet."""
        return await asyncio.wait_for(self._peers.get(), PATIENCE_S)

    async def accept_open(self, limits: wire.Limits | None = None, notice: wire.Notice = NOTICE) -> Peer:
        """Return the next connection, with its dialog open."""
        peer = await self.accept()
        await peer.open(limits, notice)
        return peer

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator["ScriptedServer"]:
        app = web.Application()
        app.router.add_get("/v1/dialogs/live", self._live_route)
        server = TestServer(app, scheme="https" if self._tls else "http")
        await server.start_server(ssl=self._tls)
        self.url = str(server.make_url("/"))
        try:
            yield self
        finally:
            for peer in self._live:
                peer.released.set()
            await server.close()

    async def _live_route(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        async with self._arrival:
            self._arrival.notify_all()
        if self.refusals:
            status, headers = self.refusals.popleft()
            return web.Response(status=status, headers=headers)
        ws = web.WebSocketResponse(protocols=self.subprotocols, timeout=0.1)
        await ws.prepare(request)
        peer = Peer(request, ws)
        self._live.append(peer)
        await self._peers.put(peer)
        await peer.released.wait()
        return ws


class FakeClock:
    """A clock on which waiting takes no time; it remembers how long it was asked to wait."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._elapsed = 0.0

    def now(self) -> datetime:
        return STORED_AT

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._elapsed += seconds
        await asyncio.sleep(0)  # a turn of the loop: whoever waits lets the others go on


def task(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start work beside the test; it fails if it does not end soon."""
    return asyncio.create_task(asyncio.wait_for(work, PATIENCE_S))


async def until_refused(dialog: Dialog) -> None:
    """Speak until an error comes of it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await dialog.say("x")
            await asyncio.sleep(0)  # a turn of the loop, in which the connection is read
