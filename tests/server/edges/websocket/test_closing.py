"""How a connection is closed: the handshake by itself, and in bytes (RFC 6455 §7)."""

import asyncio

import pytest

from consentful_server.edges.timeouts import Timeouts
from consentful_server.edges.websocket.closing import CloseHandshake, SlowReader
from consentful_server.testing import FakeClock, Served
from raw import masked, upgrade

from .dialogs import advance
from .fake_transport import FakeTransport


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def handshake(transport: FakeTransport) -> CloseHandshake:
    return CloseHandshake(transport, Timeouts(10))


async def turns() -> None:
    """Let everything run that is due now."""
    for _ in range(5):
        await asyncio.sleep(0)


class TestHandshake:
    async def test_the_first_reason_is_the_one_that_is_told(
        self, handshake: CloseHandshake, transport: FakeTransport
    ) -> None:
        handshake.begin(4508, "idle")
        handshake.begin(4001, "draining")

        assert transport.closed == (4508, "idle")
        assert handshake.has_begun
        handshake.lost()

    async def test_a_client_that_does_not_answer_in_time_is_dropped(
        self, handshake: CloseHandshake, transport: FakeTransport
    ) -> None:
        handshake.begin(4508, "idle", within_s=0)
        assert not transport.is_aborted

        async with asyncio.timeout(1):
            await handshake.closed()

        assert transport.is_aborted

    async def test_a_second_reason_does_not_put_the_end_off(
        self, handshake: CloseHandshake, transport: FakeTransport
    ) -> None:
        handshake.begin(4005, "too_often", within_s=0)
        handshake.begin(4001, "draining")

        async with asyncio.timeout(1):
            await handshake.closed()

        assert transport.is_aborted

    async def test_a_client_that_answers_is_not_dropped(
        self, handshake: CloseHandshake, transport: FakeTransport
    ) -> None:
        handshake.begin(4508, "idle", within_s=0)

        handshake.lost()
        await turns()

        assert not transport.is_aborted

    async def test_everybody_who_waits_goes_on_once_it_is_closed(self, handshake: CloseHandshake) -> None:
        waiting = [asyncio.ensure_future(handshake.closed()) for _ in range(2)]
        await turns()
        handshake.begin(4001, "draining")
        await turns()
        assert not any(waiter.done() for waiter in waiting)

        handshake.lost()

        async with asyncio.timeout(1):
            await asyncio.gather(*waiting, handshake.closed())

    async def test_a_connection_that_is_gone_is_sent_nothing(
        self, handshake: CloseHandshake, transport: FakeTransport
    ) -> None:
        handshake.lost()

        handshake.begin(4508, "idle", within_s=0)
        await turns()

        assert (transport.closed, transport.is_aborted) == (None, False)

    async def test_one_that_is_aborted_is_closed_at_once(
        self, handshake: CloseHandshake, transport: FakeTransport
    ) -> None:
        handshake.abort()

        async with asyncio.timeout(1):
            await handshake.closed()
        assert (transport.closed, transport.is_aborted) == (None, True)


class TestSlowReader:
    @pytest.mark.parametrize(
        ("seen", "stuck"),
        [
            ([(0, 5), (30, 5)], False),
            ([(0, 5), (30.1, 5)], True),
            ([(0, 0), (100, 0)], False),
            ([(0, 5), (29, 4), (58, 4)], False),
            ([(0, 5), (29, 4), (59.1, 4)], True),
            ([(0, 5), (29, 6), (58, 6)], False),
            ([(0, 5), (29, 0), (58, 5), (87, 5)], False),
            ([(1000, 5), (1030.1, 5)], True),
        ],
    )
    def test_one_that_reads_nothing_for_30_s_is_stuck(self, seen: list[tuple[float, int]], stuck: bool) -> None:
        reader = SlowReader()

        *before, last = [reader.is_stuck(unread, now) for now, unread in seen]

        assert not any(before)
        assert last is stuck


async def test_the_line_stays_until_the_client_has_answered_the_close(service: Served, clock: FakeClock) -> None:
    reader, writer = await opened(service)

    advance(service, clock, 901)

    assert await reader.readexactly(8) == b"\x88\x06" + (4508).to_bytes(2, "big") + b"idle"
    with pytest.raises(TimeoutError):  # else a reset could overtake the close code (RFC 6455 §7.1.1)
        await asyncio.wait_for(reader.read(), 0.1)
    writer.write(masked(0x88, (4508).to_bytes(2, "big")))
    assert await reader.read() == b""  # no second close frame (RFC 6455 §5.5.1)
    writer.close()
    await writer.wait_closed()


async def test_a_decided_dialog_is_closed_in_the_same_way(service: Served) -> None:
    reader, writer = await opened(service)

    writer.write(masked(0x81, b'{"type":"consent","granted":false,"last_seq":0}'))

    await reader.readuntil(b'"discarded"')
    await reader.readuntil(b"\x88\x0b" + (1000).to_bytes(2, "big") + b"discarded")
    writer.write(masked(0x81, b'{"type":"message","seq":1,"text":"too late"}'))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(), 0.1)
    writer.write(masked(0x88, (1000).to_bytes(2, "big")))
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_closes_first_is_answered(service: Served) -> None:
    reader, writer = await opened(service)

    writer.write(masked(0x88, (1001).to_bytes(2, "big")))

    assert await reader.read() == b"\x88\x02" + (1000).to_bytes(2, "big")
    writer.close()
    await writer.wait_closed()


async def opened(service: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the connection of an open dialog, without a client around it."""
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(upgrade(service.url))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    writer.write(masked(0x81, b'{"type":"open","customer_id":"c-1"}'))
    await reader.readuntil(b'"limits":')
    await reader.readuntil(b"}}")
    return reader, writer
