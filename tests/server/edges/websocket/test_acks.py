"""One ack in each turn of the loop."""

import asyncio

import pytest

from consentful import wire
from consentful.wire import Ack
from consentful_server.edges.websocket.acks import Acks

from .fake_transport import FakeTransport


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
async def acks(transport: FakeTransport) -> Acks:
    return Acks(transport, wire.CODECS[wire.JSON])


async def test_what_is_read_in_one_turn_is_acked_once_at_its_end(acks: Acks, transport: FakeTransport) -> None:
    for seq in (1, 2, 3):
        acks.soon(seq)
    assert transport.sent == []
    assert acks.is_due

    await asyncio.sleep(0)

    assert transport.sent == [Ack(3)]
    assert not acks.is_due


async def test_the_next_turn_has_an_ack_of_its_own(acks: Acks, transport: FakeTransport) -> None:
    acks.soon(1)
    await asyncio.sleep(0)

    acks.soon(2)
    await asyncio.sleep(0)

    assert transport.sent == [Ack(1), Ack(2)]


async def test_what_was_flushed_is_not_acked_again(acks: Acks, transport: FakeTransport) -> None:
    acks.soon(1)
    acks.flush()
    acks.flush()
    assert transport.sent == [Ack(1)]

    await asyncio.sleep(0)

    assert transport.sent == [Ack(1)]


async def test_a_message_after_a_flush_in_the_same_turn_is_acked(acks: Acks, transport: FakeTransport) -> None:
    acks.soon(1)
    acks.flush()
    acks.soon(2)

    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert transport.sent == [Ack(1), Ack(2)]
