"""Messages: numbered, pipelined, held back while too much is unacked."""

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import consentful
from consentful import wire
from consentful.transcript import WINDOW_MESSAGES

from .conftest import Opened
from .scripted import (
    STORED_AT,
    task,
)


async def test_messages_are_numbered_and_dated(opened: Opened) -> None:
    dialog, peer = await opened()
    moment = datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))

    await dialog.say("Where is my parcel?")
    await dialog.say("It arrives tomorrow.", role="bot", language="en-GB", sent_at=moment)

    assert await peer.hear(2) == [
        wire.Message(1, "Where is my parcel?", sent_at=STORED_AT),
        wire.Message(2, "It arrives tomorrow.", "bot", "en-GB", moment),
    ]


async def test_many_are_on_their_way_before_the_first_is_acked(opened: Opened) -> None:
    dialog, peer = await opened()

    for number in range(WINDOW_MESSAGES):
        await dialog.say(f"message {number}")

    assert len(await peer.hear(WINDOW_MESSAGES, acking=False)) == WINDOW_MESSAGES


async def test_it_waits_while_too_much_is_unacked_and_wakes_on_an_ack(opened: Opened) -> None:
    dialog, peer = await opened()
    for _ in range(WINDOW_MESSAGES):
        await dialog.say("x")
    await peer.hear(WINDOW_MESSAGES, acking=False)

    one_more = task(dialog.say("y"))
    await asyncio.sleep(0)  # a turn of the loop, in which it begins
    assert not one_more.done()
    await peer.send(wire.Ack(1))

    await one_more
    assert [message.seq for message in await peer.hear(1)] == [WINDOW_MESSAGES + 1]


async def test_waiting_tasks_each_say_their_message_once(opened: Opened) -> None:
    dialog, peer = await opened()

    async with asyncio.TaskGroup() as group:
        for number in range(3 * WINDOW_MESSAGES):
            group.create_task(dialog.say(str(number)))
        texts = [message.text for _ in range(3 * WINDOW_MESSAGES) for message in await peer.hear(1)]

    assert sorted(texts, key=int) == [str(number) for number in range(3 * WINDOW_MESSAGES)]


async def test_a_cancelled_say_said_nothing(opened: Opened) -> None:
    dialog, peer = await opened()
    for _ in range(WINDOW_MESSAGES):
        await dialog.say("x")
    waiting = task(dialog.say("never"))
    await asyncio.sleep(0)  # a turn of the loop, in which it begins

    waiting.cancel()
    await peer.hear(WINDOW_MESSAGES)
    await dialog.say("y")

    assert [(message.seq, message.text) for message in await peer.hear(1)] == [(WINDOW_MESSAGES + 1, "y")]


async def test_what_is_too_long_is_not_sent_and_uses_no_number(opened: Opened) -> None:
    dialog, peer = await opened(wire.Limits(max_text_bytes=10))
    await dialog.say("short")

    with pytest.raises(consentful.TooLong):
        await dialog.say("much too long")
    await dialog.say("again")

    assert [(message.seq, message.text) for message in await peer.hear(2)] == [(1, "short"), (2, "again")]


@pytest.mark.parametrize("mistake", [{"text": ""}, {"text": "x", "role": "admin"}, {"text": "x", "language": "?"}])
async def test_a_mistake_uses_no_number_either(opened: Opened, mistake: dict[str, Any]) -> None:
    dialog, peer = await opened()

    with pytest.raises(wire.BadFrame):
        await dialog.say(**mistake)
    await dialog.say("right")

    assert [message.seq for message in await peer.hear(1)] == [1]
