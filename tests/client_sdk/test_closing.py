"""Dialogs that are opened without a block, for handlers: `await consentful.open(…)`, and `close`."""

import asyncio
from typing import Any

import pytest

import consentful
from consentful import wire
from consentful_server import testing

from .scripted import FakeClock, ScriptedServer, task


async def open_both(server: ScriptedServer, clock: FakeClock) -> tuple[consentful.Dialog, Any]:
    async def opening() -> consentful.Dialog:
        return await consentful.open(server.url, customer_id="c-1", clock=clock, random=lambda: 0.5)

    begun = task(opening())
    peer = await server.accept_open()
    return await begun, peer


async def test_a_dialog_can_be_opened_in_one_handler_and_decided_in_another() -> None:
    async with testing.serve() as service:
        dialog = await consentful.open(service.url, customer_id="c-1")
        await dialog.say("Where is my parcel?")
        assert (await dialog.grant()).messages == 1
        await dialog.close()

        with pytest.raises(consentful.Finished, match="decided"):
            await dialog.say("again")


async def test_closing_without_a_decision_discards_everything(server: ScriptedServer, clock: FakeClock) -> None:
    dialog, peer = await open_both(server, clock)
    await dialog.say("secret")
    await peer.hear(1)

    closing = task(dialog.close())
    await peer.until_left()
    await closing
    await dialog.close()

    with pytest.raises(consentful.Finished, match="left"):
        await dialog.grant()


async def test_closing_in_doubt_tells_once_and_keeps_the_dialog(server: ScriptedServer, clock: FakeClock) -> None:
    dialog, peer = await open_both(server, clock)
    await dialog.say("one")
    granting = asyncio.create_task(dialog.grant())
    await peer.hear_out()
    granting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await granting

    with pytest.raises(consentful.OutcomeUnknown) as caught:
        await dialog.close()
    await dialog.close()

    again: consentful.Dialog = caught.value.dialog
    declining = task(again.decline())
    last = await server.accept_open()
    assert (await last.expect(wire.Consent)).retract
    await last.discard(1)
    await declining


async def test_an_opening_is_used_once(server: ScriptedServer, clock: FakeClock) -> None:
    opening = consentful.open_dialog(server.url, customer_id="c-1", clock=clock)

    async def opened() -> consentful.Dialog:
        return await opening

    begun = task(opened())
    await server.accept_open()
    dialog = await begun
    with pytest.raises(RuntimeError, match="call open_dialog again"):
        await opening
    await dialog.close()


async def test_a_server_that_refuses_leaves_no_task_behind(server: ScriptedServer, clock: FakeClock) -> None:
    server.refusals.append((403, {}))
    before = asyncio.all_tasks()

    with pytest.raises(consentful.Forbidden):
        await consentful.open(server.url, customer_id="c-1", clock=clock)

    assert asyncio.all_tasks() == before
