"""Clients that mean harm, each in its own way, as fast as Python can: over loopback, for as long as a block lasts."""

import asyncio
import json
import os
import threading
import zlib
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from typing import TypeAlias

_LINES = 16
_SLOW_LINES = 200
_PATIENCE_S = 2.0
_LEAST_URGENT = 19
_HEAD_START_S = 0.3
"""Whoever is measured is there when it begins."""

Attack: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    length = (
        bytes([0x80 | size])
        if size < 126
        else bytes([0x80 | 126]) + size.to_bytes(2, "big")
        if size < 0x10000
        else bytes([0x80 | 127]) + size.to_bytes(8, "big")
    )
    return bytes([first]) + length + bytes(4) + payload


def _bomb() -> bytes:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (squeeze.compress(bytes(100_000_000)) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


_OPEN = _frame(0x81, b'{"type":"open","customer_id":"c-1"}')
_PINGS = _frame(0x89, b"x") * 2_000
_FRAMES = _frame(0x81, b'{"type":"message","seq":1,"text":"x"}') * 2_000
_FRAGMENTS = _frame(0x00, b"") * 10_000
_GAPS = _frame(0x81, b'{"type":"message","seq":9,"text":"x"}') * 200
_BOMB = _frame(0xC1, _bomb())
_HUGE = _frame(0x81, b" " * 1_000_000)
_BAD = _frame(0x81, b"{") * 20


async def slow_loris(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _upgrade: bytes) -> None:
    writer.write(b"GET / HTTP/1.1\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)


async def ping_flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgrade: bytes) -> None:
    await _again_and_again(reader, writer, upgrade + _OPEN, _PINGS)


async def frame_flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgrade: bytes) -> None:
    await _again_and_again(reader, writer, upgrade + _OPEN, _FRAMES)


async def fragments(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgrade: bytes) -> None:
    await _again_and_again(reader, writer, upgrade + _frame(0x01, b"{"), _FRAGMENTS)


async def deflate_bomb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgrade: bytes) -> None:
    await _once(reader, writer, upgrade + _BOMB)


async def huge_frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgrade: bytes) -> None:
    await _once(reader, writer, upgrade + _HUGE)


async def bad_frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgrade: bytes) -> None:
    await _once(reader, writer, upgrade + _BAD)


async def open_flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgrade: bytes) -> None:
    writer.write(upgrade + _OPEN)
    await reader.read(1)


async def slow_reader(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgrade: bytes) -> None:
    writer.write(upgrade + _OPEN)
    while True:
        writer.write(_GAPS)
        await writer.drain()


async def worst_search(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgrade: bytes) -> None:
    """Search for what is nowhere, so that every text is opened and folded."""
    body = json.dumps({"q": "\u0301\u0323" * 500, "limit": 1000}).encode()
    await _once(reader, writer, _request(upgrade, b"POST /v1/messages/search", body))


async def big_pages(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgrade: bytes) -> None:
    await _once(reader, writer, _request(upgrade, b"GET /v1/messages?limit=1000"))


async def many_streams(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgrade: bytes) -> None:
    await _once(reader, writer, _request(upgrade, b"GET /v1/messages?format=parquet"))


async def slow_streams(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgrade: bytes) -> None:
    """Take a stream a kilobyte at a time, so that the rest of its block waits in memory."""
    writer.write(_request(upgrade, b"GET /v1/messages?format=ndjson"))
    while await reader.read(1024):  # noqa: ASYNC110 - slowly is the attack
        await asyncio.sleep(0.1)


async def foreign_keys(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upgrade: bytes) -> None:
    """Try keys that do not exist: each is looked up."""
    token = f"cfl_{os.urandom(6).hex()}_x".encode()
    await _once(reader, writer, _request(upgrade, b"GET /v1/messages", token=token))


ATTACKS: tuple[Attack, ...] = (
    slow_loris,
    open_flood,
    frame_flood,
    ping_flood,
    fragments,
    deflate_bomb,
    bad_frames,
    huge_frames,
    slow_reader,
    worst_search,
    big_pages,
    many_streams,
    slow_streams,
    foreign_keys,
)


def _request(upgrade: bytes, line: bytes, body: bytes = b"", token: bytes | None = None) -> bytes:
    """Return an HTTP request with the host and the token of the upgrade, or another token."""
    host, authorization = upgrade.split(b"\r\n")[1:3]
    fields = [
        line + b" HTTP/1.1",
        host,
        authorization if token is None else b"Authorization: Bearer " + token,
        b"Connection: close",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
    ]
    return b"\r\n".join(fields) + b"\r\n\r\n" + body


async def _again_and_again(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes, then: bytes
) -> None:
    writer.write(first)
    listening = asyncio.create_task(_read_all(reader))
    try:
        while not listening.done():
            writer.write(then)
            await writer.drain()
    finally:
        listening.cancel()


async def _once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> None:
    writer.write(sent)
    await _read_all(reader)


async def _read_all(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while await reader.read(65_536):
            pass


@contextmanager
def attacking(attack: Attack, port: int, token: str) -> Generator[None]:
    """Attack from a thread of its own until the block ends; whoever is cut off comes back at once."""
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()

    def run() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_URGENT)  # who is measured goes first
        loop.run_until_complete(_attack(attack, port, token, stopping))
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()


async def _attack(attack: Attack, port: int, token: str, stopping: asyncio.Event) -> None:
    await asyncio.sleep(_HEAD_START_S)
    lines = _SLOW_LINES if attack is slow_loris else _LINES
    tasks = [asyncio.create_task(_come_back(attack, port, token)) for _ in range(lines)]
    await stopping.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _come_back(attack: Attack, port: int, token: str) -> None:
    upgrade = (
        f"GET /v1/dialogs/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    ).encode()
    while True:
        with suppress(ConnectionError, TimeoutError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await attack(reader, writer, upgrade)
            finally:
                writer.transport.abort()
        await asyncio.sleep(0)
