"""Trailers behind an answer in chunks (RFC 9110 §6.5), of which aiohttp knows nothing."""

from collections.abc import Mapping
from typing import cast

from aiohttp import web
from aiohttp.http_writer import StreamWriter


async def write_eof(response: web.StreamResponse, trailers: Mapping[str, str]) -> None:
    """End an answer with these fields behind its last chunk; one that is not sent in chunks has no place for them."""
    if not response.chunked:
        await response.write_eof()
        return
    # The last chunk and the fields are written by hand, so the writer must not frame them as one more chunk.
    writer = cast("StreamWriter", response._payload_writer)  # pyright: ignore[reportPrivateUsage]
    writer.chunked = False
    fields = "".join(f"{name}: {value}\r\n" for name, value in trailers.items())
    await response.write_eof(f"0\r\n{fields}\r\n".encode())
