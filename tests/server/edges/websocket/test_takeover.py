"""Two connections with one dialog: the newer one wins (contract §1, rule 9)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful.wire import Error, Open, Opened, Stored
from consentful_server.dialogs.registry import Holder
from consentful_server.errors import StorageFailed
from consentful_server.testing import FakeClock, Served
from faulty_store import HeldStore, fail_once
from kept import texts

from .dialogs import GRANT, expect_nothing_left, replay


async def test_the_newer_connection_wins_and_the_older_is_closed(
    dial: Callable[..., Any], http: ClientSession, service: Served
) -> None:
    older = await replay(dial, "one")

    newer = await replay(dial, "one")

    assert await older.closed() == 4511
    assert (await newer.grant()).messages == 1
    assert await newer.closed() == 1000
    assert await texts(http) == ["one"]
    await expect_nothing_left(service)


async def test_another_customer_gets_a_conflict_and_the_older_goes_on(dial: Callable[..., Any]) -> None:
    older, newer = await replay(dial, "one"), await dial()

    await newer.send(Open("c-2", "d-1"))

    assert (await newer.receive(Error)).code == "conflict"
    assert await newer.closed() == 4509
    assert (await older.grant()).messages == 1


@pytest.mark.parametrize("settings", [{"auth": "keys"}])
async def test_another_credential_gets_a_conflict(dial: Callable[..., Any], service: Served) -> None:
    mine, theirs = await service.create_key(name="mine"), await service.create_key(name="theirs")
    older, newer = await replay(dial, "one", token=mine), await dial(token=theirs)

    await newer.send(Open("c-1", "d-1"))

    assert (await newer.receive(Error)).code == "conflict"
    assert await newer.closed() == 4509
    assert (await older.grant()).messages == 1


async def test_a_takeover_waits_for_a_failing_decision_and_then_has_the_dialog(
    dial: Callable[..., Any], service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = await replay(dial, "one"), await dial()
    fail_once(service, monkeypatch, StorageFailed())
    store = HeldStore(service, monkeypatch)
    await older.send(GRANT)
    await store.reached.wait()

    await newer.send(Open("c-1", "d-1"))
    store.let_go.set()

    assert (await older.receive(Error)).code == "storage"
    assert await older.closed() == 4511
    await newer.receive(Opened)
    await newer.say("one")
    assert (await newer.grant()).messages == 1


async def test_a_newcomer_that_gives_up_waiting_leaves_the_id_free(
    dial: Callable[..., Any], service: Served, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = HeldStore(service, monkeypatch)
    older, newer = await replay(dial, "one"), await dial()
    await older.send(GRANT)
    await store.reached.wait()
    waits = asyncio.Event()
    claim = service.service.registry.claim

    def claiming(dialog_id: str, holder: Holder) -> asyncio.Event | None:
        waits.set()
        return claim(dialog_id, holder)

    monkeypatch.setattr(service.service.registry, "claim", claiming)
    await newer.send(Open("c-1", "d-1"))
    await waits.wait()

    clock.advance(11)
    service.service.registry.tick(clock.monotonic())
    assert await newer.closed() == 4512
    store.let_go.set()
    await older.receive(Stored)
    assert await older.closed() == 1000
    await expect_nothing_left(service)

    await (await replay(dial, "one")).grant()
