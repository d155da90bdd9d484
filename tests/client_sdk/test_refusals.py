"""What a server refuses for good."""

import pytest

import consentful
from consentful import wire
from consentful.transcript import WINDOW_MESSAGES

from .conftest import Opened, Opens
from .scripted import ScriptedServer, task, until_refused


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


async def test_a_message_that_the_server_does_not_take_ends_the_dialog(opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("one")
    await peer.hear(1, acking=False)

    await peer.send(wire.Error("limit", "over max_text_bytes", seq=1))
    await peer.until_left()

    with pytest.raises(consentful.Refused) as caught:
        await until_refused(dialog)
    assert caught.value.code == "limit"


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
