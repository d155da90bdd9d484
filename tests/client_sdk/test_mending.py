"""What a server complains about and the SDK puts right on the same socket."""

import pytest

import consentful
from consentful import wire

from .conftest import Opened
from .scripted import FakeClock, ScriptedServer, task


async def test_a_gap_is_filled(opened: Opened) -> None:
    dialog, peer = await opened()
    for text in ("one", "two", "three"):
        await dialog.say(text)
    await peer.hear(3, acking=False)

    await peer.send(wire.Error("gap", "send again", expected=2))

    assert [message.seq for message in await peer.hear(2)] == [2, 3]


async def test_a_server_that_holds_another_text_is_left_and_gets_the_dialog_anew(
    server: ScriptedServer, opened: Opened
) -> None:
    dialog, peer = await opened()
    for text in ("one", "two"):
        await dialog.say(text)
    await peer.hear(2)

    await peer.send(wire.Error("conflict", "another text", seq=1))

    await peer.until_left()
    again = await server.accept_open()
    assert [(message.seq, message.text) for message in await again.hear(2)] == [(1, "one"), (2, "two")]


async def test_an_incomplete_dialog_is_completed_before_the_question_is_asked_again(opened: Opened) -> None:
    dialog, peer = await opened()
    for text in ("one", "two", "three"):
        await dialog.say(text)
    granting = task(dialog.grant())
    await peer.hear(3, acking=False)
    first = await peer.expect(wire.Consent)

    await peer.send(wire.Error("incomplete", "1 message is held", expected=1))
    assert [message.seq for message in await peer.hear(2)] == [2, 3]
    assert await peer.expect(wire.Consent) == first
    await peer.store(3)

    assert (await granting).messages == 3


async def test_a_failed_store_is_asked_again_with_backoff(opened: Opened, clock: FakeClock) -> None:
    dialog, peer = await opened()
    granting = task(dialog.grant())
    for _ in range(2):
        await peer.expect(wire.Consent)
        await peer.send(wire.Error("storage", "not stored", retry=True))
    await peer.expect(wire.Consent)
    await peer.store(0)

    await granting
    assert clock.slept == [0.125, 0.25]


async def test_a_server_that_stores_nothing_is_left_for_another(server: ScriptedServer, opened: Opened) -> None:
    """Such as a node that is cut off from its database, while others are not."""
    dialog, peer = await opened()
    await dialog.say("one")
    await peer.hear(1)
    granting = task(dialog.grant())
    for _ in range(3):
        await peer.expect(wire.Consent)
        await peer.send(wire.Error("storage", "not stored", retry=True))

    other = await server.accept_open()
    await other.hear(1)
    await other.expect(wire.Consent)
    await other.store(1)

    assert (await granting).messages == 1


async def test_a_store_that_stays_broken_makes_the_service_unavailable(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened(reconnect_for=1.0)
    granting = task(dialog.grant())

    async def refuse_for_ever() -> None:
        node = peer
        while True:
            for _ in range(3):
                await node.expect(wire.Consent)
                await node.send(wire.Error("storage", "not stored", retry=True))
            node = await server.accept_open()

    refusing = task(refuse_for_ever())
    with pytest.raises(consentful.Unavailable, match="cannot store"):
        await granting
    refusing.cancel()

    await dialog.say("it goes on")


async def test_an_unknown_outcome_is_replayed(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("one")
    granting = task(dialog.grant())
    await peer.hear(1)
    await peer.expect(wire.Consent)
    await peer.send(wire.Error("unknown", "replay", retry=True))
    await peer.close(4004)

    again = await server.accept_open()
    await again.hear(1)
    await again.expect(wire.Consent)
    await again.store(1)

    assert (await granting).messages == 1
