"""How long the SDK looks for a server."""

import pytest

import consentful
from consentful import reconnector

from .conftest import Opened, Opens
from .scripted import FakeClock, Peer, ScriptedServer, free_port, task


async def test_a_server_that_cannot_be_reached_is_unavailable(opens: Opens, clock: FakeClock) -> None:
    with pytest.raises(consentful.Unavailable, match="Cannot connect to host"):
        async with opens(url=f"ws://127.0.0.1:{free_port()}"):
            pass

    assert sum(clock.slept) == pytest.approx(120)  # pyright: ignore[reportUnknownMemberType]
    assert clock.slept[:4] == [0.125, 0.25, 0.5, 1.0]


async def test_so_is_one_whose_name_is_unknown(opens: Opens) -> None:
    with pytest.raises(consentful.Unavailable):
        async with opens(url="ws://nobody.invalid", reconnect_for=0):
            pass


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_server_that_asks_for_time_gets_it(
    server: ScriptedServer, opened: Opened, clock: FakeClock, status: int
) -> None:
    server.refusals.append((status, {"Retry-After": "7"}))

    await opened()

    assert clock.slept == [7.125]


async def test_patience_begins_anew_once_the_lost_ground_is_regained(
    server: ScriptedServer, opened: Opened, clock: FakeClock
) -> None:
    dialog, peer = await opened(reconnect_for=30.0)
    await dialog.say("one")
    await peer.hear(1)
    for _ in range(20):
        server.refusals.append((503, {}))
        await peer.close(4001)
        peer = await server.accept_open()
        await peer.hear(1)

    assert sum(clock.slept) > 30.0


async def test_a_message_that_kills_every_server_is_not_carried_around_for_ever(
    server: ScriptedServer, opened: Opened
) -> None:
    dialog, peer = await opened(reconnect_for=3.0)
    await dialog.say("one")
    await peer.hear(1)
    await dialog.say("poison")

    async def die_of_it(peer: Peer) -> None:
        while True:
            await peer.hear(1)
            await peer.receive()
            await peer.drop()
            peer = await server.accept_open()

    await peer.receive()
    await peer.drop()
    dying = task(die_of_it(await server.accept_open()))
    with pytest.raises(consentful.OutcomeUnknown):
        await task(dialog.grant())
    dying.cancel()


async def test_a_server_that_says_nothing_is_not_waited_for(
    server: ScriptedServer, opens: Opens, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconnector, "CONNECT_WITHIN_S", 0.01)
    monkeypatch.setattr(reconnector, "AT_LEAST_S", 0.01)

    with pytest.raises(consentful.Unavailable, match="no answer in time"):
        async with opens(reconnect_for=1.0):
            pass

    assert len(server.requests) > 1
    assert sum(clock.slept) == pytest.approx(1.0)  # pyright: ignore[reportUnknownMemberType]
