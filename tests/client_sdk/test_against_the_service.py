"""The SDK and the real service."""

import asyncio
import random
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest

import consentful
from consentful import Dialog, wire
from consentful_server import testing
from consentful_server.clock import to_micros
from consentful_server.testing import Served

from .scripted import FakeClock, task
from .torn import TornWire


@pytest.fixture
async def service() -> AsyncGenerator[Served]:
    async with testing.serve() as served:
        yield served


async def kept(service: Served, dialog_id: str, token: str = "") -> dict[str, Any] | int:
    """Return the dialog as a data scientist reads it, or the status."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.get(f"{service.url}/v1/dialogs/{dialog_id}") as response,
    ):
        return await response.json() if response.status == 200 else response.status


def words(dialog: dict[str, Any] | int) -> list[tuple[str, str]]:
    assert isinstance(dialog, dict), dialog
    return [(message["role"], message["text"]) for message in dialog["messages"]]


async def test_a_token_that_ends_before_the_yes_is_replaced_without_the_chatbot_noticing() -> None:
    clock = testing.FakeClock()
    async with testing.serve(auth="keys", clock=clock) as service:
        keys = service.service.api_keys

        async def make(seconds: int) -> str:
            return await keys.create("shop", ["dialogs:write"], expires_at=to_micros(clock.now()) + seconds * 1_000_000)

        handed_out = [await make(60), await make(3600)]
        tokens = iter(handed_out)
        async with consentful.open_dialog(service.url, customer_id="c-1", token=lambda: next(tokens)) as dialog:
            await dialog.say("Where is my parcel?")
            clock.advance(61)
            await dialog.say("It arrives tomorrow.", role="bot")
            stored = await dialog.grant()

        assert stored.messages == 2
        reads = await service.create_key("data:read", name="reader")
        assert [text for _, text in words(await kept(service, dialog.id, reads))] == [
            "Where is my parcel?",
            "It arrives tomorrow.",
        ]


async def test_a_token_that_ended_keeps_nobody_from_saying_no() -> None:
    async with testing.serve(auth="keys") as service:
        key = await service.create_key("dialogs:write")
        async with consentful.open_dialog(service.url, customer_id="c-1", token=key) as dialog:
            await dialog.say("secret")
            await service.revoke_key(key)
            assert await dialog.decline() == wire.Discarded(dialog.id, 1)


async def test_a_token_that_ended_before_the_yes_is_told_as_not_stored() -> None:
    async with testing.serve(auth="keys") as service:
        key = await service.create_key("dialogs:write")
        async with consentful.open_dialog(service.url, customer_id="c-1", token=lambda: key) as dialog:
            await dialog.say("Where is my parcel?")
            await service.revoke_key(key)
            with pytest.raises(consentful.Unauthorised, match="nothing was stored"):
                await dialog.grant()

            key = await service.create_key("dialogs:write")
            assert (await dialog.grant()).messages == 1


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
async def test_a_granted_dialog_is_kept_word_for_word(service: Served, encoding: Any) -> None:
    async with consentful.open_dialog(service.url, customer_id="c-1", language="EN", encoding=encoding) as dialog:
        await dialog.say("Where is my parcel? \U0001f4e6 \x00\x1f")
        await dialog.say("It arrives tomorrow.", role="bot")
        stored = await dialog.grant()

    assert (stored.dialog_id, stored.messages) == (dialog.id, 2)
    assert words(await kept(service, dialog.id)) == [
        ("customer", "Where is my parcel? \U0001f4e6 \x00\x1f"),
        ("bot", "It arrives tomorrow."),
    ]


async def test_a_declined_dialog_is_not_kept(service: Served) -> None:
    async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
        await dialog.say("secret")
        discarded = await dialog.decline()

    assert discarded == wire.Discarded(dialog.id, 1)
    assert await kept(service, dialog.id) == 404


async def test_a_dialog_that_was_left_is_not_kept(service: Served) -> None:
    async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
        await dialog.say("secret")

    assert await kept(service, dialog.id) == 404


async def test_an_empty_dialog_cannot_be_granted_and_goes_on(service: Served) -> None:
    async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
        with pytest.raises(consentful.Incomplete) as caught:
            await dialog.grant()
        assert caught.value.code == "empty"

        await dialog.say("something")
        await dialog.grant()

    assert words(await kept(service, dialog.id)) == [("customer", "something")]


async def test_an_unknown_purpose_is_told_and_the_dialog_goes_on(service: Served) -> None:
    async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
        await dialog.say("something")
        with pytest.raises(consentful.Incomplete) as caught:
            await dialog.grant(purposes=["world-domination"])
        assert caught.value.code == "purposes"

        await dialog.grant(purposes=dialog.notice.purposes[:1])


async def test_a_dialog_as_large_as_may_be(service: Served) -> None:
    async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
        limits = dialog.limits
        for _ in range(limits.max_dialog_bytes // limits.max_text_bytes):
            await dialog.say("\x01" * limits.max_text_bytes)  # six bytes each in JSON
        with pytest.raises(consentful.TooLong):
            await dialog.say("x")
        stored = await dialog.grant()

    assert stored.messages == limits.max_dialog_bytes // limits.max_text_bytes


async def test_ten_thousand_messages_and_not_one_more(service: Served) -> None:
    async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
        for number in range(dialog.limits.max_messages):
            await dialog.say(str(number))
        with pytest.raises(consentful.TooLong):
            await dialog.say("x")
        stored = await dialog.grant()

    assert stored.messages == 10_000


async def test_a_newer_connection_supersedes_an_older_one(service: Served) -> None:
    async with (
        consentful.open_dialog(service.url, customer_id="c-1", dialog_id="d-1") as older,
        consentful.open_dialog(service.url, customer_id="c-1", dialog_id="d-1") as newer,
    ):
        with pytest.raises(consentful.Superseded):
            await task(_speak_for_ever(older))
        await newer.say("mine")
        await newer.grant()

    assert words(await kept(service, "d-1")) == [("customer", "mine")]


async def test_another_customer_cannot_have_the_same_dialog(service: Served) -> None:
    async with consentful.open_dialog(service.url, customer_id="c-1", dialog_id="d-1"):
        with pytest.raises(consentful.Conflict):
            async with consentful.open_dialog(service.url, customer_id="c-2", dialog_id="d-1"):
                pass


async def test_a_stored_id_cannot_hold_another_dialog(service: Served) -> None:
    for text in ("first", "second"):
        async with consentful.open_dialog(service.url, customer_id="c-1", dialog_id="d-1") as dialog:
            await dialog.say(text)
            if text == "first":
                await dialog.grant()
            else:
                with pytest.raises(consentful.Conflict):
                    await dialog.grant()

    assert words(await kept(service, "d-1")) == [("customer", "first")]


async def test_the_same_dialog_again_is_the_same_receipt(service: Served) -> None:
    receipts: set[tuple[str, str]] = set()
    for _ in range(2):
        async with consentful.open_dialog(service.url, customer_id="c-1", dialog_id="d-1") as dialog:
            await dialog.say("same")
            stored = await dialog.grant()
            receipts.add((stored.receipt, stored.withdrawal_code))

    assert len(receipts) == 1


async def test_a_grant_that_is_cut_off_can_be_taken_back(service: Served) -> None:
    dice = random.Random(1)
    for _ in range(20):
        async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
            await dialog.say("on second thoughts")
            granting = asyncio.create_task(dialog.grant())
            for _ in range(dice.randrange(40)):  # turns of the loop: before, while and after it is stored
                await asyncio.sleep(0)
            granting.cancel()
            await asyncio.wait([granting])
            if granting.cancelled():
                await dialog.decline()
                assert await kept(service, dialog.id) in (404, 410)


async def test_a_grant_that_is_cut_off_can_be_granted_after_the_block(service: Served) -> None:
    held: list[Dialog] = []

    async def chat() -> None:
        async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
            held.append(dialog)
            await dialog.say("keep this")
            cutting_off.set()
            await dialog.grant()

    cutting_off = asyncio.Event()
    chatting = asyncio.create_task(chat())
    await cutting_off.wait()
    for _ in range(3):
        await asyncio.sleep(0)  # turns of the loop, in which the grant goes out
    chatting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await chatting

    stored = await held[0].grant()

    assert stored.messages == 1
    assert words(await kept(service, held[0].id)) == [("customer", "keep this")]


async def test_an_idle_dialog_times_out_on_both_sides() -> None:
    clock = testing.FakeClock()
    async with (
        testing.serve(clock=clock, idle_timeout=60.0) as service,
        consentful.open_dialog(service.url, customer_id="c-1") as dialog,
    ):
        await dialog.say("hello?")
        clock.advance(61)
        service.service.registry.tick(clock.monotonic())

        with pytest.raises(consentful.TimedOut):
            await task(_speak_for_ever(dialog))
        with pytest.raises(consentful.TimedOut):
            await dialog.grant()


async def test_tokens_are_told_apart() -> None:
    async with testing.serve(auth="keys") as service:
        writer = await service.create_key("dialogs:write")
        reader = await service.create_key("data:read")

        async with consentful.open_dialog(service.url, customer_id="c-1", token=lambda: writer) as dialog:
            await dialog.say("hello")
            await dialog.grant()
        with pytest.raises(consentful.Forbidden):
            async with consentful.open_dialog(service.url, customer_id="c-1", token=reader):
                pass
        for nothing in (None, "wrong"):
            with pytest.raises(consentful.Unauthorised):
                async with consentful.open_dialog(service.url, customer_id="c-1", token=nothing):
                    pass

        assert words(await kept(service, dialog.id, reader)) == [("customer", "hello")]


@pytest.mark.parametrize("seed", range(3))
async def test_a_wire_that_tears_anywhere_changes_nothing(service: Served, seed: int) -> None:
    dice = random.Random(seed)

    def cuts() -> tuple[int, int]:
        return dice.randrange(1, 4000), dice.randrange(1, 6000)

    async def chat(number: int) -> tuple[str, bool, list[tuple[str, str]]]:
        said = [("customer", f"{number}: {'x' * dice.randrange(100)}") for _ in range(dice.randrange(1, 12))]
        grants = dice.random() < 0.7
        async with consentful.open_dialog(
            wire_.url, customer_id=f"c-{number}", clock=FakeClock(), random=dice.random, reconnect_for=1e6
        ) as dialog:
            for _, text in said:
                await dialog.say(text)
            await (dialog.grant() if grants else dialog.decline())
        return dialog.id, grants, said

    async with TornWire(service.url, cuts).serve() as wire_:
        chats = await asyncio.gather(*[task(chat(number)) for number in range(30)])

    assert wire_.torn > 10
    for dialog_id, grants, said in chats:
        found = await kept(service, dialog_id)
        assert (words(found) == said) if grants else (found == 404)


async def _speak_for_ever(dialog: Dialog) -> None:
    while True:
        await dialog.say("x")
        await asyncio.sleep(0)  # a turn of the loop, in which the connection is read


async def test_a_key_that_a_test_revokes_is_refused_at_once() -> None:
    async with testing.serve(auth="keys") as service:
        key = await service.create_key("data:read")
        reader = consentful.Reader(service.url, key)
        assert [row async for row in reader.messages()] == []

        await service.revoke_key(key)

        with pytest.raises(consentful.Unauthorised):
            assert [row async for row in reader.messages()] == []
        with pytest.raises(ValueError, match="create_key") as caught:
            await service.revoke_key("cfl_000000000000_nothing")
        assert "nothing" not in str(caught.value)
