"""Bytes on a socket, for what no well-behaved client sends."""

import asyncio
import re
import socket
from typing import Any
from urllib.parse import urlsplit

from consentful_server.edges.websocket.socket import READER

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
CLOSE = bytes([0x88, 0x80, 0, 0, 0, 0])
"""A close frame, as a client sends it."""


_FULL_AFTER_S = 0.3
_PATIENCE_S = 60


def upgrade(url: str, **headers: str) -> bytes:
    """Return the request that makes a connection a live dialog."""
    fields = "".join(
        f"{name}: {value}\r\n" for name, value in (UPGRADE | {"Host": urlsplit(url).netloc} | headers).items()
    )
    return f"GET /v1/dialogs/live HTTP/1.1\r\n{fields}\r\n".encode()


def masked(first: int, payload: bytes) -> bytes:
    """Return a client's frame, masked with zeros; `first` holds its opcode and bits (RFC 6455 §5.2)."""
    size = len(payload)
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 0x10000:
        head = bytes([first, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, 0x80 | 127]) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


async def deaf(url: str) -> socket.socket:
    """Return a connection that reads nothing, and has next to no room for what it is sent."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.setblocking(False)
    where = urlsplit(url)
    await asyncio.get_running_loop().sock_connect(line, (where.hostname, where.port))
    return line


async def fill(line: socket.socket, piece: bytes) -> bool:
    """Send it again and again, until the server takes no more; return whether it has cut the line."""
    try:
        while True:
            await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(line, piece), _FULL_AFTER_S)
    except TimeoutError:
        return False  # it cannot answer
    except ConnectionError:
        return True


def is_stuck(registry: Any) -> bool:
    """Whether a connection of the server takes nothing up any more, because its client reads no answers.

    That it takes no more does not tell, nor that answers wait: it may be busy with what it has, in turn with others.
    """
    return any(held._edge._transport._held_back_for & READER for held in registry._holders)


async def exchange(url: str, sent: bytes, *, to_the_end: bool = False) -> bytes:
    """Send the bytes and return the answer: to the end of its body if it has a length, else to the connection's."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(_PATIENCE_S):
            if to_the_end:
                return await reader.read()
            head = await _head(reader)
            if head.startswith(b"HTTP/1.1 100 "):
                head += await _head(reader)
            length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
            return head + (await reader.readexactly(int(length[1])) if length else await reader.read())
    finally:
        writer.close()
        await writer.wait_closed()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as cut:
        return cut.partial


async def request(
    url: str,
    path: str,
    *headers: tuple[str, str | bytes],
    method: str = "GET",
    host: str | None = None,
    body: bytes = b"",
) -> tuple[int, bytes]:
    """Return status and the whole answer to one request; the same header may be there twice."""
    fixed = [("Host", host or urlsplit(url).netloc), ("Connection", "close"), ("Content-Length", str(len(body)))]
    if any(name == "Connection" for name, _ in headers):
        del fixed[1]
    lines = [f"{method} {path} HTTP/1.1".encode()]
    lines += [
        name.encode() + b": " + (value if isinstance(value, bytes) else value.encode())
        for name, value in (*fixed, *headers)
    ]
    answer = await exchange(url, b"\r\n".join(lines) + b"\r\n\r\n" + body)
    return int(answer.split(b" ", 2)[1]), answer
