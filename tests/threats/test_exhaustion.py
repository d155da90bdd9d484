"""Clients that would use the server up: each is told so, or cut off, and everybody else goes on."""

import asyncio
import resource
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from consentful import wire
from consentful.wire import Error, Message, Open
from consentful_server.edges.http import bodies
from consentful_server.edges.server import protocol, runner
from consentful_server.testing import FakeClock, Served, serve
from kept import eventually, keep
from live import Live, connect
from raw import deaf, exchange, fill, is_stuck, masked, upgrade

Dial: TypeAlias = Callable[..., Awaitable[Live]]

_PATIENCE_S = 5.0
_MOMENT_S = 0.05
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def service(settings: dict[str, Any], clock: FakeClock) -> AsyncGenerator[Served]:
    async with serve(clock=clock, **settings) as served:
        yield served


@pytest.fixture
async def dial(service: Served) -> AsyncGenerator[Dial]:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())

        async def dialling(**options: Any) -> Live:
            return await stack.enter_async_context(connect(session, service.url, **options))

        yield dialling


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what takes seconds take moments."""
    for module in (runner, protocol):
        monkeypatch.setattr(module, "HEAD_S", 0.2)
    monkeypatch.setattr(protocol, "UNREAD_S", 0.2)
    monkeypatch.setattr(bodies, "BODY_S", 0.2)


@asynccontextmanager
async def connection(service: Served) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    where = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            yield reader, writer
    finally:
        writer.transport.abort()


async def goes_on(service: Served) -> None:
    """See that somebody who behaves is served."""
    assert (await exchange(service.url, HEAD + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def dribble(writer: asyncio.StreamWriter, pieces: bytes, answer: Coroutine[Any, Any, bytes]) -> bytes:
    """Send a byte whenever the server has not answered for a moment; return its answer."""
    answering = asyncio.create_task(answer)
    for byte in pieces:
        writer.write(bytes([byte]))
        if (await asyncio.wait([answering], timeout=_MOMENT_S))[0]:
            break
    return await answering


@pytest.mark.usefixtures("impatient")
class TestSlowLoris:
    @pytest.mark.parametrize("before", [b"", HEAD + b"\r\n"], ids=["a new connection", "one that was kept alive"])
    async def test_slow_loris_head(self, service: Served, before: bytes) -> None:
        async with connection(service) as (reader, writer):
            writer.write(before)
            if before:
                await reader.readuntil(b'{"status":"ok"}')
            answer = await dribble(writer, HEAD + b"X: y\r\n" * 1000, reader.read())

        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"too_slow"' in answer
        await goes_on(service)

    async def test_slow_loris_body(self, service: Served) -> None:
        async with connection(service) as (reader, writer):
            writer.write(b"POST /consents/d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")

            head = await dribble(writer, b" " * 100_000, reader.readuntil(b"\r\n\r\n"))

            assert head.startswith(b"HTTP/1.1 408 ")
            assert service.service.registry.bytes_used == 0
        await goes_on(service)

    async def test_idle_flood(self, service: Served) -> None:
        """Connections that say nothing at all are gone after a while."""
        async with AsyncExitStack() as stack:
            lines = [await stack.enter_async_context(connection(service)) for _ in range(200)]

            assert [await reader.read() for reader, _ in lines] == [b""] * 200
        await goes_on(service)

    async def test_an_answer_that_nobody_reads(self, service: Served) -> None:
        asked = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10
        with await deaf(service.url) as line:
            async with asyncio.timeout(_PATIENCE_S):
                while not await fill(line, asked):
                    pass
        await goes_on(service)


async def test_a_head_without_end(service: Served) -> None:
    async with connection(service) as (reader, writer):
        writer.write(HEAD + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 4000) for number in range(10)))

        assert (await reader.read()).startswith(b"HTTP/1.1 431 ")
    await goes_on(service)


async def test_a_client_that_goes_on_after_its_head_was_refused_gets_the_response(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LINGER_S", _PATIENCE_S)
    async with connection(service) as (reader, writer):
        writer.write(HEAD + b"X: " + b"x" * 3000 + b"\r\n")
        for _ in range(10):
            writer.write(b"X: " + b"x" * 3000 + b"\r\n")
            await writer.drain()
        await reader.readexactly(1)  # refused
        for _ in range(100):
            writer.write(b"y" * 10_000)
            await writer.drain()

        assert (await reader.read()).startswith(b"TTP/1.1 431 ")


async def test_a_client_that_goes_on_for_ever_is_disconnected(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINGER_S", 0.1)
    async with connection(service) as (_, writer):
        writer.write(HEAD + b"X-0: " + b"x" * 3000 + b"\r\n")

        async def go_on() -> None:
            while True:
                writer.write(b"X: " + b"x" * 3000 + b"\r\n")
                await writer.drain()

        with pytest.raises(ConnectionError):
            await go_on()
    await goes_on(service)


async def test_more_connections_than_there_are_files_for(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connection(service):
        monkeypatch.setattr(runner, "_RESERVED_FILES", resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1)

        refusal = await exchange(service.url, HEAD + b"\r\n")

        assert refusal.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 5\r\n" in refusal
        monkeypatch.undo()
        await goes_on(service)


async def test_bodies_are_counted_while_they_come_in(service: Served) -> None:
    async with connection(service) as (reader, writer):
        writer.write(b"POST /consents/d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n ")

        await eventually(lambda: service.service.registry.bytes_used == 100_000)

        service.service.registry.take(service.service.settings.memory - 200_000)
        async with ClientSession(service.url) as http, http.post("/consents/d", json="x" * 150_000) as response:
            assert response.status == 503
        writer.write(b" " * 99_999)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 400 ")


def having(**settings: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("settings", [settings], ids=[""])


async def told_to_go(live: Live) -> Error:
    """Return the error with which the server closes; the client may come back, and replay."""
    frames, code = await live.until_closed()
    assert code == 4005
    error = frames[-1]
    assert isinstance(error, Error)
    assert error.retry
    return error


async def refused(dial: Dial, **options: Any) -> int:
    """Return after how many seconds a client that is refused may come back."""
    with pytest.raises(WSServerHandshakeError) as caught:
        await dial(**options)
    assert caught.value.status == 429
    return int((caught.value.headers or {})["Retry-After"])


class TestShares:
    """A client that takes more than its share is told when to come back; its share is its address's and its key's."""

    @having(opens_per_second=1)
    async def test_open_flood(self, dial: Dial, clock: FakeClock) -> None:
        for _ in range(10):
            await (await dial()).open()

        assert await refused(dial) == 1
        assert (await told_to_go(await dial(protocols=["bearer.x", wire.JSON]))).retry_after_s == 1
        clock.advance(1)
        await (await dial()).open()

    @having(opens_per_second=1, auth="keys", trusted_proxy=("127.0.0.1",))
    async def test_open_flood_with_one_key_from_everywhere(self, dial: Dial, service: Served) -> None:
        leaked, other = await service.create_key(name="leaked"), await service.create_key(name="other")
        for number in range(10):
            await dial(token=leaked, headers={"X-Forwarded-For": f"192.0.2.{number}"})

        assert await refused(dial, token=leaked, headers={"X-Forwarded-For": "192.0.2.99"}) == 1
        await dial(token=other, headers={"X-Forwarded-For": "192.0.2.1"})

    @having(dialogs_per_client=3)
    async def test_open_flood_of_dialogs_that_stay(self, dial: Dial) -> None:
        dialogs = [await dial() for _ in range(3)]

        assert await refused(dial) == 5
        await dialogs[0].socket.close()
        await dial()

    @having(frames_per_second=100)
    async def test_frame_flood(self, dial: Dial, service: Served, clock: FakeClock) -> None:
        live = await dial()
        await live.open()
        replayed = live.codec.encode(Message(1, "x"))
        for _ in range(1200):
            await live.send_raw(replayed)

        error = await told_to_go(live)

        assert error.code == "too_often"
        wait_s = await refused(dial)
        assert service.service.registry.bytes_used == 0
        await goes_on(service)
        clock.advance(wait_s)
        await (await dial()).open()

    @having(frames_per_second=100)
    async def test_frame_flood_over_many_dialogs(self, dial: Dial) -> None:
        """None of them sends so much that it is noticed at once, but together they do."""
        for _ in range(10):
            live = await dial()
            await live.open()
            for _ in range(100):
                await live.send(Message(1, "x"))
            await live.say("x")
            await live.socket.close()

        assert await refused(dial) >= 1

    @having(frames_per_second=1)
    async def test_frame_flood_over_http(self, service: Served) -> None:
        async with ClientSession(service.url) as http:
            pushes = [await http.post("/data/c-1/d-1", json={"text": "x"}) for _ in range(11)]

            assert [response.status for response in pushes] == [201] * 10 + [429]
            assert pushes[-1].headers["Retry-After"] == "1"

    @having(bytes_per_second=100_000)
    async def test_fragments(self, service: Served) -> None:
        """A message of many empty frames never ends, nor does it ever reach the dialog's rules."""
        async with connection(service) as (reader, writer):
            writer.write(upgrade(service.url) + masked(0x01, b"{") + masked(0x00, b"") * 300_000)

            assert b'"code":"too_often"' in await reader.readuntil((4005).to_bytes(2, "big") + b"too_often")
        await goes_on(service)

    async def test_ping_flood(self, dial: Dial, service: Served, clock: FakeClock) -> None:
        live = await dial()
        await live.open()
        for _ in range(100):
            await live.socket.ping(b"x")
        await live.say("they were answered")

        clock.advance(1)
        await live.socket.ping()
        await live.socket.ping()

        assert (await told_to_go(live)).code == "too_often"
        await goes_on(service)

    @having(streams_per_client=2)
    async def test_many_streams(self, service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each stream holds a block of texts until its reader has taken it."""
        await keep(service.service, "d-1")
        store, end = service.service.store.dialogs, asyncio.Event()
        read = store.list_messages

        async def waiting(*asked: Any) -> Any:
            await end.wait()
            return await read(*asked)

        monkeypatch.setattr(store, "list_messages", waiting)
        async with ClientSession(service.url) as http:

            async def stream() -> tuple[int, str | None]:
                async with http.get("/v1/messages?format=ndjson") as response:
                    await response.read()
                    return response.status, response.headers.get("Retry-After")

            begun = [asyncio.create_task(stream()) for _ in range(2)]
            await eventually(lambda: service.service.clients.streams == 2)

            assert await stream() == (429, "5")
            end.set()
            assert await asyncio.gather(*begun) == [(200, None)] * 2
            assert await stream() == (200, None)
        await goes_on(service)


class TestMemory:
    """What is held is counted, and nothing is held that was not counted."""

    @having(memory=2_000_000, max_dialog_bytes=1_000_000)
    async def test_huge_dialog(self, dial: Dial, service: Served) -> None:
        registry, small = service.service.registry, await dial()
        await small.open()
        big = [await dial() for _ in range(3)]
        for live in big:
            await live.open()
        said = 0
        try:
            while True:
                for live in big:
                    await live.say("x" * 30_000)
                    said += 1
                    assert registry.bytes_used <= 2_000_000
        except AssertionError:
            assert said > 60
        await small.say("there is room for this one")

        assert registry.bytes_used <= 2_000_000
        await small.grant()

    async def test_huge_frame(self, dial: Dial, service: Served) -> None:
        live = await dial()
        limits = (await live.open()).limits

        await live.send_raw(b"x" * (limits.max_frame_bytes + 1))

        assert await live.closed() == 1009
        await goes_on(service)

    @having(memory=2_000_000, max_dialog_bytes=1_000_000)
    async def test_frames_that_never_end(self, service: Served, clock: FakeClock) -> None:
        """Part of a frame is memory too."""
        part = masked(0x81, b" " * 250_000)[:-1]
        async with AsyncExitStack() as stack:
            lines = [await stack.enter_async_context(connection(service)) for _ in range(12)]
            for _, writer in lines:
                writer.write(upgrade(service.url) + part)
            answers = await asyncio.gather(*(reader.read(2000) for reader, _ in lines))
            assert all(answer.startswith(b"HTTP/1.1 ") for answer in answers)

            await eventually(lambda: service.service.registry.bytes_used > 1_500_000)

            assert service.service.registry.bytes_used <= 2_000_000
        await eventually(lambda: service.service.registry.bytes_used == 0)

    @having(compress=True)
    async def test_deflate_bomb(self, service: Served) -> None:
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = (squeeze.compress(bytes(100_000_000)) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]
        assert len(bomb) < service.service.limits.max_frame_bytes
        async with connection(service) as (reader, writer):
            offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
            writer.write(upgrade(service.url, **offer) + masked(0xC1, bomb))

            assert b"permessage-deflate" in await reader.readuntil(b"\r\n\r\n")
            frame = await reader.readexactly(4)
            assert (frame[0], frame[2:]) == (0x88, (1009).to_bytes(2, "big"))
        await goes_on(service)


async def test_slow_reader(service: Served, clock: FakeClock) -> None:
    """A client that sends and never reads is closed once its answers have waited for long."""
    loop = asyncio.get_running_loop()
    with await deaf(service.url) as line:
        opening = upgrade(service.url) + masked(0x81, wire.CODECS[wire.JSON].encode(Open("c-1", "d-1")))
        await loop.sock_sendall(line, opening)
        await fill(line, masked(0x81, b'{"type":"message","seq":9,"text":"x"}') * 200)
        await eventually(lambda: is_stuck(service.service.registry))
        assert service.service.registry.bytes_used > 0

        for _ in range(2):
            clock.advance(31)
            service.service.registry.tick(clock.monotonic())

        read = b""
        async with asyncio.timeout(_PATIENCE_S):
            while not read.endswith(b"\x88\x06" + (4002).to_bytes(2, "big") + b"slow"):
                read = read[-100:] + await loop.sock_recv(line, 1_000_000)
    await eventually(lambda: service.service.registry.bytes_used == 0)
    await goes_on(service)
