"""How a connection is closed, in bytes (RFC 6455 §7)."""

import asyncio

import pytest

from consentful_server.testing import FakeClock, Served
from raw import masked, upgrade

from .dialogs import advance


async def test_the_line_stays_until_the_client_has_answered_the_close(service: Served, clock: FakeClock) -> None:
    reader, writer = await upgraded(service)
    writer.write(masked(0x81, b'{"type":"open","customer_id":"c-1"}'))
    await reader.readuntil(b'"limits":')
    await reader.readuntil(b"}}")

    advance(service, clock, 901)

    assert await reader.readexactly(8) == b"\x88\x06" + (4508).to_bytes(2, "big") + b"idle"
    with pytest.raises(TimeoutError):  # else a reset could overtake the close code (RFC 6455 §7.1.1)
        await asyncio.wait_for(reader.read(), 0.1)
    writer.write(masked(0x88, (4508).to_bytes(2, "big")))
    assert await reader.read() == b""  # no second close frame (RFC 6455 §5.5.1)
    writer.close()
    await writer.wait_closed()


async def upgraded(service: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection after its upgrade, without a client around it."""
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(upgrade(service.url))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return reader, writer
