"""Clients that would use the server up: each is told so, or cut off, and everybody else goes on."""

import asyncio
import resource
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession

from consentful_server.edges import bodies, runner
from consentful_server.testing import Served, serve
from kept import eventually
from raw import deaf, exchange, fill

_PATIENCE_S = 5.0
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
async def service() -> AsyncGenerator[Served]:
    async with serve() as served:
        yield served


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what takes seconds take moments."""
    monkeypatch.setattr(runner, "HEAD_S", 0.2)
    monkeypatch.setattr(runner, "UNREAD_S", 0.2)
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


async def dribble(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Send a byte now and then, for as long as the server takes it."""
    try:
        while True:
            for byte in piece:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.05)
    except ConnectionError:
        pass


@pytest.mark.usefixtures("impatient")
class TestSlowLoris:
    @pytest.mark.parametrize("before", [b"", HEAD + b"\r\n"], ids=["a new connection", "one that was kept alive"])
    async def test_slow_loris_head(self, service: Served, before: bytes) -> None:
        async with connection(service) as (reader, writer):
            writer.write(before)
            if before:
                await reader.readuntil(b'{"status":"ok"}')
            dribbling = asyncio.create_task(dribble(writer, HEAD + b"X: y\r\n" * 1000))

            answer = await reader.read()

            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b'"code":"too_slow"' in answer
            dribbling.cancel()
        await goes_on(service)

    async def test_slow_loris_body(self, service: Served) -> None:
        async with connection(service) as (reader, writer):
            writer.write(b"POST /consents/d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
            dribbling = asyncio.create_task(dribble(writer, b" "))

            head = await reader.readuntil(b"\r\n\r\n")

            assert head.startswith(b"HTTP/1.1 408 ")
            assert service.service.registry.bytes_used == 0
            dribbling.cancel()
        await goes_on(service)

    async def test_a_connection_that_says_nothing_at_all(self, service: Served) -> None:
        async with connection(service) as (reader, _):
            assert await reader.read() == b""

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


async def test_more_connections_than_there_are_files_for(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connection(service):
        monkeypatch.setattr(runner, "_KEPT_BACK", resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1)

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
