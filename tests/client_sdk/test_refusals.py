"""What a server refuses for good."""

import pytest

import consentful
from consentful import wire
from consentful.transcript import WINDOW_MESSAGES

from .conftest import Opened, Opens
from .scripted import Peer, ScriptedServer, task, until_refused


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1002, consentful.Refused),
        (1003, consentful.Refused),
        (1007, consentful.Refused),
        (1009, consentful.Refused),
        (4500, consentful.Refused),
        (4501, consentful.Unauthorised),
        (4503, consentful.Forbidden),
        (4508, consentful.TimedOut),
        (4509, consentful.Conflict),
        (4510, consentful.Erased),
        (4511, consentful.Superseded),
        (4512, consentful.Refused),
        (4513, consentful.TimedOut),
        (4999, consentful.Refused),
    ],
)
async def test_a_final_close_ends_the_dialog(
    server: ScriptedServer, opened: Opened, code: int, kind: type[consentful.ConsentfulError]
) -> None:
    dialog, peer = await opened()
    for _ in range(WINDOW_MESSAGES):
        await dialog.say("x")
    waiting = task(dialog.say("y"))

    await peer.close(code)

    with pytest.raises(kind):
        await waiting
    with pytest.raises(kind):
        await dialog.say("z")
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [4508, 4509, 4510, 4511, 4513])
async def test_a_dialog_that_a_server_ended_cannot_be_decided(opened: Opened, code: int) -> None:
    dialog, peer = await opened()
    waiting = task(dialog.grant())
    await peer.expect(wire.Consent)
    await peer.send(wire.Error("empty", "say something"))
    with pytest.raises(consentful.Incomplete):
        await waiting

    await peer.close(code)
    with pytest.raises(consentful.Finished):
        await until_refused(dialog)

    with pytest.raises(consentful.Finished):
        await dialog.grant()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, consentful.Refused),
        (401, consentful.Unauthorised),
        (403, consentful.Forbidden),
        (404, consentful.Refused),
    ],
)
async def test_a_refused_upgrade_is_not_tried_again(
    server: ScriptedServer, opens: Opens, status: int, kind: type[consentful.ConsentfulError]
) -> None:
    server.refusals.append((status, {}))

    with pytest.raises(kind) as caught:
        async with opens(token="t"):
            pass

    assert type(caught.value) is kind
    assert len(server.requests) == 1


async def test_a_dialog_id_that_is_taken_is_a_conflict(server: ScriptedServer, opens: Opens) -> None:
    entering = task(opens(dialog_id="taken").__aenter__())
    peer = await server.accept()
    await peer.expect(wire.Open)
    await peer.send(wire.Error("conflict", "taken by another"))
    await peer.close(4509)

    with pytest.raises(consentful.Conflict, match="taken by another"):
        await entering


def numbered(messages: list[wire.Message]) -> list[tuple[int, str]]:
    return [(message.seq, message.text) for message in messages]


async def refuse_the_second_of_three(
    server: ScriptedServer, opened: Opened, seq: int | None = 2
) -> tuple[consentful.Dialog, Peer]:
    """Return a dialog and the server to which it moved after its second message was refused."""
    dialog, peer = await opened()
    for text in ("one", "two", "three"):
        await dialog.say(text)
    await peer.hear(3, acking=False)
    await peer.send(wire.Ack(1))
    await peer.send(wire.Error("frame", "$.language: not a tag here", seq=seq))
    await peer.send(wire.Error("gap", "a message is missing", seq=3, expected=2))
    await peer.until_left()
    return dialog, await server.accept_open()


@pytest.mark.parametrize("seq", [2, None])
async def test_a_message_that_the_server_refuses_is_taken_out_and_the_dialog_goes_on(
    server: ScriptedServer, opened: Opened, seq: int | None
) -> None:
    dialog, peer = await refuse_the_second_of_three(server, opened, seq)
    assert numbered(await peer.hear(2)) == [(1, "one"), (2, "three")]

    with pytest.raises(consentful.MessageRefused, match=r"message 2 \(\$\.language: not a tag here\)") as caught:
        await dialog.say("four")
    assert (caught.value.code, caught.value.seq) == ("frame", 2)

    await dialog.say("four")
    granting = task(dialog.grant())
    messages, consent = await peer.hear_out()
    assert numbered(messages) == [(3, "four")]
    await peer.store(consent.last_seq)
    assert (await granting).messages == 3


async def test_a_grant_is_told_of_a_refused_message_and_decides_nothing(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("one")
    await dialog.say("two")
    granting = task(dialog.grant())
    await peer.hear_out()
    await peer.send(wire.Ack(1))
    await peer.send(wire.Error("limit", "smaller here", seq=2))
    await peer.send(wire.Error("incomplete", "", expected=1))
    await peer.until_left()

    with pytest.raises(consentful.MessageRefused) as caught:
        await granting
    assert caught.value.seq == 2

    granting = task(dialog.grant())
    again = await server.accept_open()
    messages, consent = await again.hear_out()
    assert (numbered(messages), consent.last_seq) == ([(1, "one")], 1)
    await again.store(1)
    assert (await granting).messages == 1


async def test_a_grant_is_told_even_if_the_refusal_arrived_before_it(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await refuse_the_second_of_three(server, opened)

    with pytest.raises(consentful.MessageRefused):
        await dialog.grant()

    granting = task(dialog.grant())
    messages, consent = await peer.hear_out()
    assert (numbered(messages), consent.last_seq) == ([(1, "one"), (2, "three")], 2)
    await peer.store(2)
    await granting


async def test_a_no_is_not_told_of_a_refused_message_and_arrives(opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("one")
    declining = task(dialog.decline())
    await peer.expect(wire.Message)
    await peer.expect(wire.Consent)

    await peer.send(wire.Error("frame", "$.language: not a tag here", seq=1))
    await peer.discard(0)

    assert (await declining).dialog_id == dialog.id


async def test_a_no_after_a_refused_message_arrives_as_well(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await refuse_the_second_of_three(server, opened)
    await peer.hear(2)

    declining = task(dialog.decline())
    assert not (await peer.expect(wire.Consent)).granted
    await peer.discard(0)

    assert await declining == wire.Discarded(dialog.id, 2)


async def test_who_waits_for_room_is_told_of_a_refused_message(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened()
    for _ in range(WINDOW_MESSAGES):
        await dialog.say("x")
    waiting = task(dialog.say("y"))
    await peer.hear(WINDOW_MESSAGES, acking=False)

    await peer.send(wire.Error("limit", "no more", seq=1))
    await peer.until_left()

    with pytest.raises(consentful.MessageRefused):
        await waiting
    again = await server.accept_open()
    assert [message.seq for message in await again.hear(WINDOW_MESSAGES - 1)] == list(range(1, WINDOW_MESSAGES))


async def test_in_doubt_no_message_is_taken_out(server: ScriptedServer, opened: Opened) -> None:
    """An earlier server may have stored the whole dialog: only all of it settles the doubt, or a no."""
    dialog, peer = await opened()
    await dialog.say("one")
    granting = task(dialog.grant())
    await peer.hear_out()
    await peer.drop()
    smaller = await server.accept_open()
    await smaller.hear(1, acking=False)
    await smaller.send(wire.Error("limit", "smaller here", seq=1))
    with pytest.raises(consentful.OutcomeUnknown):
        await granting

    declining = task(dialog.decline())
    last = await server.accept_open()
    assert (await last.expect(wire.Consent)).retract
    await last.discard(0)
    await declining


async def test_a_consent_that_the_server_cannot_take_leaves_the_dialog_open(opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("one")
    granting = task(dialog.grant())
    await peer.hear_out()
    await peer.send(wire.Ack(1))
    await peer.send(wire.Error("frame", "$.given_by: not one of the documented values"))
    with pytest.raises(consentful.Incomplete) as caught:
        await granting
    assert caught.value.code == "frame"

    granting = task(dialog.grant())
    await peer.expect(wire.Consent)
    await peer.store(1)
    await granting


async def test_a_refused_token_in_the_middle_can_be_followed_by_another_try(
    server: ScriptedServer, opened: Opened
) -> None:
    dialog, peer = await opened(token="old")
    await dialog.say("one")
    await peer.hear(1)
    server.refusals.append((401, {}))
    await peer.close(4003)
    with pytest.raises(consentful.Unauthorised):
        await until_refused(dialog)

    granting = task(dialog.grant())
    again = await server.accept_open()
    messages, consent = await again.hear_out()
    await again.store(consent.last_seq)

    assert (await granting).messages == len(messages)


async def test_an_opening_that_the_server_does_not_take_is_refused(server: ScriptedServer, opens: Opens) -> None:
    entering = task(opens(language="xx-nonsense").__aenter__())
    peer = await server.accept()
    await peer.expect(wire.Open)
    await peer.send(wire.Error("frame", "$.language: not a BCP 47 language tag"))
    await peer.until_left()

    with pytest.raises(consentful.Refused, match=r"\$\.language"):
        await entering
