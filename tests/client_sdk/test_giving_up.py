"""How long the SDK looks for a server."""

import re

import aiohttp
import pytest

import consentful
from consentful import reconnector, wire
from ports import free_port

from .conftest import Opened, Opens
from .scripted import SO_MANY_503, FakeClock, Peer, ScriptedServer, task


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


async def test_the_first_connection_may_take_less_time_than_a_reconnect(opens: Opens, clock: FakeClock) -> None:
    with pytest.raises(consentful.Unavailable):
        async with opens(url=f"ws://127.0.0.1:{free_port()}", timeout=5.0):
            pass

    assert sum(clock.slept) == pytest.approx(5.0)  # pyright: ignore[reportUnknownMemberType]


async def test_once_open_a_dialog_is_given_the_time_to_reconnect(
    server: ScriptedServer, opened: Opened, clock: FakeClock
) -> None:
    _, peer = await opened(timeout=0.0, reconnect_for=30.0)
    server.refusals.extend([(503, {"Retry-After": "7"})] * 2)

    await peer.close(4001)
    await server.accept_open()

    assert sum(clock.slept) > 14.0


async def test_a_server_that_is_down_is_told_in_the_log_after_three_seconds_and_once(
    server: ScriptedServer, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    server.refusals.extend(SO_MANY_503[:12])

    dialog, _ = await opened(customer_id="secret-customer")

    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert re.fullmatch(
        rf"dialog {dialog.id}: no server for [34] s \(HTTP 503\); giving up in 11[67] s,"
        " see `timeout` and `reconnect_for`",
        warning.getMessage(),
    )


async def test_a_short_trouble_is_not(server: ScriptedServer, opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    server.refusals.extend(SO_MANY_503[:3])

    await opened()

    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


@pytest.mark.parametrize("limit", ["limit", "limit_per_host"])
async def test_a_session_without_a_free_connection_is_named(
    server: ScriptedServer, opened: Opened, opens: Opens, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    only_one: dict[str, int] = {limit: 1}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(**only_one)) as session:  # pyright: ignore[reportArgumentType]
        dialog, peer = await opened(session=session)

        with monkeypatch.context() as impatient:
            for name in ("CONNECT_WITHIN_S", "AT_LEAST_S"):
                impatient.setattr(reconnector, name, 0.05)
            with pytest.raises(consentful.Unavailable, match=rf"dialogs hold all connections.*pass it {limit}=0"):
                await opens(session=session, timeout=0.0).__aenter__()

        declining = task(dialog.decline())
        await peer.expect(wire.Consent)
        await peer.discard(0)
        await declining
        _, other = await opened(session=session)
        await other.drop()
