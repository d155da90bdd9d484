"""Whatever kills a socket, the chatbot notices nothing."""

import pytest

import consentful
from consentful import wire
from consentful.transcript import WINDOW_MESSAGES

from .conftest import Opened
from .scripted import NOTICE, ScriptedServer, task


@pytest.mark.parametrize("code", [1001, 1011, 1012, 4000, 4001, 4002, 4003, 4004, 4005, 4499])
async def test_a_passing_close_is_replayed(server: ScriptedServer, opened: Opened, code: int) -> None:
    dialog, peer = await opened()
    await dialog.say("one")
    await dialog.say("two", role="bot")
    said = await peer.hear(2)

    await peer.close(code)
    again = await server.accept_open()

    assert again.opening == peer.opening
    assert await again.hear(2) == said


async def test_so_is_a_server_that_is_killed(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("one")
    await peer.hear(1)

    await peer.drop()

    assert [message.text for message in await (await server.accept_open()).hear(1)] == ["one"]


@pytest.mark.parametrize("heard", [0, 1, 2, 3])
async def test_a_grant_survives_a_drop_at_any_point(server: ScriptedServer, opened: Opened, heard: int) -> None:
    dialog, peer = await opened()
    for text in ("one", "two"):
        await dialog.say(text)
    granting = task(dialog.grant())
    for _ in range(heard):
        await peer.receive()

    await peer.drop()
    again = await server.accept_open()
    assert [message.text for message in await again.hear(2)] == ["one", "two"]
    consent = await again.expect(wire.Consent)
    stored = await again.store(2)

    assert await granting == stored
    assert consent.notice == NOTICE.id


async def test_a_lost_answer_is_asked_for_again(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("one")
    granting = task(dialog.grant())
    await peer.hear(1)
    first = await peer.expect(wire.Consent)
    await peer.close(1000)  # decided, says the code; what was decided is lost

    again = await server.accept_open()
    await again.hear(1)
    second = await again.expect(wire.Consent)
    await again.store(1)

    assert (await granting).messages == 1
    assert second == first


async def test_a_lost_no_is_repeated_without_a_word(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("a secret")
    await peer.hear(1)
    declining = task(dialog.decline())
    await peer.expect(wire.Consent)
    await peer.drop()

    again = await server.accept_open()

    assert await again.expect(wire.Consent) == wire.Consent(granted=False, last_seq=1)
    await again.discard(0)
    assert await declining == wire.Discarded(dialog.id, 1)


async def test_a_no_that_got_through_before_its_answer_was_lost_is_a_no(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened()
    declining = task(dialog.decline())
    await peer.expect(wire.Consent)
    await peer.drop()

    again = await server.accept()
    await again.expect(wire.Open)
    await again.send(wire.Error("erased", "this dialog was erased"))
    await again.close(4510)

    assert await declining == wire.Discarded(dialog.id, 0)
    with pytest.raises(consentful.Finished, match="decided"):
        await dialog.say("x")


async def test_what_is_said_while_nobody_listens_is_not_lost(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("one")
    await peer.hear(1)
    await peer.drop()

    await dialog.say("two")

    again = await server.accept_open()
    assert [message.text for message in await again.hear(2)] == ["one", "two"]


async def test_what_was_acked_once_does_not_fill_the_window_again(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened()
    for _ in range(WINDOW_MESSAGES):
        await dialog.say("x")
    await peer.hear(WINDOW_MESSAGES)
    await dialog.say("synchronise")  # the ack has arrived when the window lets this through
    await peer.drop()

    await dialog.say("y")

    again = await server.accept_open()
    assert len(await again.hear(WINDOW_MESSAGES + 2)) == WINDOW_MESSAGES + 2


async def test_a_say_that_waits_when_the_socket_dies_goes_on(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened()
    for _ in range(WINDOW_MESSAGES):
        await dialog.say("x")
    waiting = task(dialog.say("y"))
    await peer.hear(WINDOW_MESSAGES, acking=False)
    await peer.drop()

    again = await server.accept_open()
    await again.hear(WINDOW_MESSAGES)

    await waiting
    assert [message.text for message in await again.hear(1)] == ["y"]


async def test_a_draining_server_is_spoken_to_until_it_closes(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened()
    await peer.send(wire.Closing("draining", 30))
    await dialog.say("one")
    await peer.hear(1)
    await peer.close(4001)

    again = await server.accept_open()
    await again.hear(1)
    granting = task(dialog.grant())
    await again.expect(wire.Consent)
    await again.store(1)

    assert (await granting).messages == 1


async def test_a_frame_that_breaks_the_schema_is_a_lost_connection(server: ScriptedServer, opened: Opened) -> None:
    _, peer = await opened()

    await peer.send_raw(b'{"type":"ack","seq":"many"}')
    await peer.until_left()

    await server.accept_open()


async def test_an_answer_to_no_question_is_a_lost_connection(server: ScriptedServer, opened: Opened) -> None:
    _, peer = await opened()

    await peer.send(peer.stored(0))
    await peer.until_left()

    await server.accept_open()


async def test_a_silent_server_is_noticed(server: ScriptedServer, opened: Opened) -> None:
    await opened(heartbeat=0.02)  # the scripted server answers no ping unless it receives

    again = await server.accept()
    assert (await again.expect(wire.Open)).customer_id == "c-1"


async def test_newer_kinds_and_fields_are_passed_over(opened: Opened) -> None:
    dialog, peer = await opened()
    await peer.send_raw(b'{"type":"weather","text":"sunny"}')
    await peer.send_raw(b'{"type":"ack","seq":0,"mood":"good"}')

    granting = task(dialog.grant())
    await peer.expect(wire.Consent)
    await peer.store(0)

    assert (await granting).receipt == "a.b.c"


async def test_a_frame_larger_than_any_server_sends_is_a_lost_connection(
    server: ScriptedServer, opened: Opened
) -> None:
    _, peer = await opened()

    await peer.send_raw(b" " * 2 * 1024 * 1024)
    await peer.until_left()

    await server.accept_open()
