"""What the customer decides, and what is left of the dialog afterwards."""

import asyncio

import pytest

import consentful
from consentful import Dialog, wire

from .conftest import Opened, Opens
from .scripted import (
    ScriptedServer,
    task,
)


async def test_a_grant_returns_what_was_stored(opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("one")

    granting = task(dialog.grant(purposes=["train"], given_by="representative"))
    await peer.hear(1)
    consent = await peer.expect(wire.Consent)
    stored = await peer.store(1)

    assert await granting == stored
    assert consent == wire.Consent(
        granted=True, last_seq=1, notice="n-1", purposes=["train"], given_by="representative"
    )


async def test_a_no_returns_how_much_was_dropped(opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("one")
    await peer.hear(1)

    declining = task(dialog.decline())
    consent = await peer.expect(wire.Consent)
    await peer.discard(1)

    assert await declining == wire.Discarded(dialog.id, 1)
    assert consent == wire.Consent(granted=False, last_seq=1)


async def test_a_no_takes_back_what_is_not_sent_yet(opened: Opened) -> None:
    dialog, peer = await opened()

    async def change_of_mind() -> wire.Discarded:
        await dialog.say("unsent")
        return await dialog.decline()

    declining = task(change_of_mind())

    await peer.expect(wire.Consent)  # and no message before it
    await peer.discard(0)
    assert (await declining).messages == 1


async def test_a_decided_dialog_is_over(opened: Opened) -> None:
    dialog, peer = await opened()
    declining = task(dialog.decline())
    await peer.expect(wire.Consent)
    await peer.discard(0)
    await declining

    for call in (dialog.say("x"), dialog.grant(), dialog.decline()):
        with pytest.raises(consentful.Finished, match="decided"):
            await call


async def test_leaving_without_a_decision_closes_the_socket_and_drops_everything(
    server: ScriptedServer, opens: Opens
) -> None:
    heard = asyncio.Event()

    async def chat() -> Dialog:
        async with opens() as dialog:
            await dialog.say("forget me")
            await heard.wait()
            return dialog

    chatting = task(chat())
    peer = await server.accept_open()
    await peer.hear(1)
    heard.set()

    await peer.until_left()
    dialog = await chatting
    with pytest.raises(consentful.Finished, match="left"):
        await dialog.grant()


async def test_only_one_decision_at_a_time(opened: Opened) -> None:
    dialog, peer = await opened()
    granting = task(dialog.grant())
    await peer.expect(wire.Consent)

    for call in (dialog.grant(), dialog.decline(), dialog.say("x")):
        with pytest.raises(RuntimeError):
            await call

    await peer.store(0)
    await granting


@pytest.mark.parametrize("code", ["empty", "notice", "purposes"])
async def test_an_undecided_dialog_goes_on(opened: Opened, code: str) -> None:
    dialog, peer = await opened()
    granting = task(dialog.grant())
    await peer.expect(wire.Consent)
    await peer.send(wire.Error(code, "not like this"))
    with pytest.raises(consentful.Incomplete, match="not like this") as caught:
        await granting
    assert caught.value.code == code

    await dialog.say("more")
    granting = task(dialog.grant())
    await peer.hear(1)
    assert (await peer.expect(wire.Consent)).last_seq == 1
    await peer.store(1)

    await granting


async def test_a_purpose_that_is_no_label_is_a_mistake(opened: Opened) -> None:
    dialog, _ = await opened()

    with pytest.raises(wire.BadFrame):
        await dialog.grant(purposes=["no spaces allowed"])
