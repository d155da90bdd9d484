"""A dialog that is idle or lasts too long is warned and dropped (contract §1, rule 10)."""

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful.wire import Ack, Closing, Error, Message
from consentful_server.errors import StorageFailed
from consentful_server.testing import FakeClock, Served
from faulty_store import fail_once
from kept import texts
from live import Live

from .dialogs import GRANT, advance, expect_nothing_left, replay


async def test_an_idle_dialog_is_warned_and_then_dropped(
    live: Live, http: ClientSession, service: Served, clock: FakeClock
) -> None:
    await live.open()
    await live.say("first")

    advance(service, clock, 870)
    assert await live.receive(Closing) == Closing("idle", 30)
    advance(service, clock, 30)

    assert await live.closed() == 4508
    assert await texts(http) == []
    await expect_nothing_left(service)


async def test_a_message_resets_idleness_and_a_ping_or_a_replay_does_not(
    live: Live, service: Served, clock: FakeClock
) -> None:
    await live.open()
    await live.say("first")
    advance(service, clock, 899)
    assert (await live.receive(Closing)).reason == "idle"
    await live.say("second")
    advance(service, clock, 899)
    assert (await live.receive(Closing)).reason == "idle"

    await live.socket.ping()
    await live.send(Message(1, "first"))
    await live.receive(Ack)
    advance(service, clock, 1)

    assert await live.closed() == 4508


async def test_a_consent_that_fails_resets_idleness(
    live: Live, service: Served, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live.open()
    await live.say("first")
    advance(service, clock, 899)
    await live.receive(Closing)
    fail_once(service, monkeypatch, StorageFailed())
    await live.send(GRANT)
    assert (await live.receive(Error)).code == "storage"

    advance(service, clock, 2)

    await live.grant()


async def test_a_dialog_that_lasts_too_long_is_warned_and_then_dropped(
    live: Live, http: ClientSession, service: Served, clock: FakeClock
) -> None:
    await live.open()
    for _ in range(108):
        await live.say("still here")
        advance(service, clock, 799)
    await live.say("still here")

    advance(service, clock, 86_400 - 108 * 799 - 30)
    assert await live.receive(Closing) == Closing("duration", 30)
    await live.say("never quiet")
    advance(service, clock, 30)

    assert await live.closed() == 4513
    assert await texts(http) == []


async def test_a_replay_starts_both_clocks_anew(dial: Callable[..., Any], service: Served, clock: FakeClock) -> None:
    older = await replay(dial, "one")
    advance(service, clock, 869)

    newer = await replay(dial, "one")
    assert await older.closed() == 4511
    advance(service, clock, 869)

    await newer.grant()
