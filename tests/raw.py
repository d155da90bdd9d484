"""Bytes on a socket, for what no well-behaved client sends."""

import asyncio
import re
from urllib.parse import urlsplit

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
CLOSE = bytes([0x88, 0x80, 0, 0, 0, 0])
"""A close frame, as a client sends it."""


async def exchange(url: str, sent: bytes, *, to_the_end: bool = False) -> bytes:
    """Send the bytes and return the answer: to the end of its body if it has a length, else to the connection's."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(5):
            if to_the_end:
                return await reader.read()
            head = await _head(reader)
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
