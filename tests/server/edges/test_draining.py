"""A server that stops (contract §1, rule 11): it tells, waits, lets go, and never hangs."""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvloop
from aiohttp import ClientSession, WSServerHandshakeError

from consentful import wire
from consentful.wire import Closing, Consent, Error, Stored
from consentful_server import testing
from consentful_server.app import build_runner, drain
from consentful_server.archive.store import Candidate, StoredDialog
from consentful_server.edges.server.runner import Runner
from consentful_server.edges.websocket import sockets
from consentful_server.service import Service
from consentful_server.testing import FakeClock, Served, serve
from kept import eventually, messages, texts
from live import Live
from raw import deaf, fill, is_stuck, masked, upgrade

BRIEFLY = pytest.mark.parametrize("settings", [{"grace": 0.05}])


@pytest.fixture
def draining(service: Served) -> Callable[[], asyncio.Task[None]]:
    """Begin to stop the service; the task ends when it has stopped."""
    return lambda: asyncio.create_task(drain(service.service))


async def test_a_live_dialog_is_told_and_may_end(
    live: Live, http: ClientSession, draining: Callable[[], asyncio.Task[None]]
) -> None:
    await live.open()
    await live.say("first")

    stopping = draining()

    assert await live.receive(Closing) == Closing("draining", 30)
    await live.say("second")
    assert (await live.grant()).messages == 2
    assert await live.closed() == 1000
    await stopping
    assert await texts(http) == ["second", "first"]


@BRIEFLY
async def test_what_has_not_ended_after_the_grace_time_is_closed_and_forgotten(
    live: Live, http: ClientSession, service: Served, draining: Callable[[], asyncio.Task[None]]
) -> None:
    await live.open()
    await live.say("first")

    stopping = draining()

    frames, code = await live.until_closed()
    assert [type(frame) for frame in frames] == [Closing]
    assert code == 4001
    await stopping
    assert service.service.registry.bytes_used == 0
    assert await texts(http) == []


@pytest.mark.parametrize("settings", [{"grace": 0}])
async def test_without_grace_dialogs_are_told_and_closed_at_once(
    live: Live, draining: Callable[[], asyncio.Task[None]]
) -> None:
    await live.open()

    stopping = draining()

    frames, code = await live.until_closed()
    assert ([type(frame) for frame in frames], code) == ([Closing], 4001)
    await stopping


@BRIEFLY
async def test_a_connection_that_has_not_opened_is_closed_as_well(
    live: Live, service: Served, draining: Callable[[], asyncio.Task[None]]
) -> None:
    await eventually(lambda: len(service.service.registry) == 1)

    stopping = draining()

    assert (await live.until_closed())[1] == 4001
    await stopping


async def test_a_stopping_server_takes_nobody_in(
    dial: Callable[..., Any], service: Served, draining: Callable[[], asyncio.Task[None]]
) -> None:
    await draining()

    with pytest.raises(WSServerHandshakeError) as caught:
        await dial()
    assert caught.value.status == 503
    assert (caught.value.headers or {})["Retry-After"] == "5"
    browser = await dial(protocols=[wire.JSON, "bearer.abc"])
    (error,), code = await browser.until_closed()
    assert isinstance(error, Error)
    assert (error.code, error.retry, code) == ("overloaded", True, 4005)
    assert len(service.service.registry) == 0


@BRIEFLY
async def test_a_commit_under_way_is_finished_and_answered(
    live: Live,
    http: ClientSession,
    service: Served,
    draining: Callable[[], asyncio.Task[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached, let_go = asyncio.Event(), asyncio.Event()
    keep = service.service.store.dialogs.keep

    async def held(candidate: Candidate) -> StoredDialog:
        reached.set()
        await let_go.wait()
        return await keep(candidate)

    monkeypatch.setattr(service.service.store.dialogs, "keep", held)
    await live.open()
    await live.say("first")
    await live.send(Consent(granted=True, last_seq=1))
    await reached.wait()

    stopping = draining()
    await live.receive(Closing)
    await asyncio.wait({stopping}, timeout=0.2)  # the grace time passes
    assert not stopping.done()
    let_go.set()

    assert (await live.receive(Stored)).messages == 1
    assert await live.closed() == 1000
    await stopping
    assert await texts(http) == ["first"]


async def test_pushed_dialogs_may_be_decided_and_are_then_forgotten(
    http: ClientSession, service: Served, draining: Callable[[], asyncio.Task[None]]
) -> None:
    for dialog_id in ("d-1", "d-2"):
        assert (await http.post(f"/data/c-1/{dialog_id}", json={"text": dialog_id})).status == 201

    stopping = draining()
    await asyncio.sleep(0)

    assert (await http.post("/consents/d-1", json=True)).status == 200
    async with http.post("/data/c-1/d-3", json={"text": "new"}) as response:
        assert response.status == 503
    await service.service.registry.drain(0)  # the grace time is over for those that are left
    await stopping
    assert (await http.post("/consents/d-2", json=True)).status == 409
    assert [message["text"] for message in await messages(http)] == ["d-1"]
    assert service.service.registry.bytes_used == 0


@pytest.mark.parametrize("turns", range(5))
def test_a_connection_that_was_just_accepted_does_not_hold_up_the_stop(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At one of these turns of the loop aiohttp would wait for its first request, here for a minute."""

    def patient(service: Service, **_: float) -> Runner:
        return build_runner(service, shutdown_timeout=60)

    monkeypatch.setattr(testing, "build_runner", patient)

    async def stop() -> float:
        async with serve() as service:
            where = urlsplit(service.url)
            line = socket.create_connection((where.hostname, where.port))
            for _ in range(turns):
                await asyncio.sleep(0)
            began = time.monotonic()
        line.close()
        return time.monotonic() - began

    assert uvloop.run(stop()) < 30


class TestDeafClients:
    """Clients that send and never read: nothing may wait for them without end."""

    @pytest.fixture(autouse=True)
    def closing_briefly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sockets, "CLOSE_WITHIN_S", 0.2)

    @BRIEFLY
    async def test_a_client_that_never_reads_does_not_keep_the_server_from_stopping(
        self, service: Served, draining: Callable[[], asyncio.Task[None]]
    ) -> None:
        line = await deaf_client(service)

        async with asyncio.timeout(5):
            await draining()

        await eventually(lambda: len(service.service.registry) == 0)
        line.close()

    @BRIEFLY
    async def test_one_that_cannot_be_told_does_not_hold_up_the_others(
        self, live: Live, service: Served, draining: Callable[[], asyncio.Task[None]]
    ) -> None:
        line = await deaf_client(service)
        await live.open()

        async with asyncio.timeout(5):
            stopping = draining()
            frames, code = await live.until_closed()
            await stopping

        assert ([type(frame) for frame in frames], code) == ([Closing], 4001)
        line.close()

    async def test_a_client_that_never_reads_does_not_outlive_its_dialogs_time(
        self, service: Served, clock: FakeClock
    ) -> None:
        line = await deaf_client(service)
        clock.advance(901)
        service.service.registry.tick(clock.monotonic())

        await eventually(lambda: len(service.service.registry) == 0)

        line.close()


async def deaf_client(service: Served) -> socket.socket:
    """Open a dialog, then leave messages out until nobody reads the answers, which fill every buffer."""
    line = await deaf(service.url)
    opening = upgrade(service.url) + masked(0x81, b'{"type":"open","customer_id":"c-1","dialog_id":"d-1"}')
    await asyncio.get_running_loop().sock_sendall(line, opening)
    await fill(line, masked(0x81, b'{"type":"message","seq":9,"text":"x"}') * 200)
    await eventually(lambda: is_stuck(service.service.registry))
    return line
