"""A grant that went out and got no answer: the dialog may be stored, and nobody here knows."""

import asyncio

import pytest

import consentful
from consentful import Dialog, wire

from .conftest import Opened, Opens
from .scripted import (
    NOTICE,
    SO_MANY_503,
    Peer,
    ScriptedServer,
    task,
)


async def test_a_cancelled_grant_can_be_granted_again(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("one")
    await _cut_off(dialog, peer)

    granting = task(dialog.grant())
    again = await server.accept_open()
    await again.hear(1)
    await again.expect(wire.Consent)
    await again.store(1)

    assert (await granting).messages == 1


async def test_or_taken_back_without_a_word(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened()
    await dialog.say("one")
    await _cut_off(dialog, peer)

    declining = task(dialog.decline())
    again = await server.accept_open()

    assert await again.expect(wire.Consent) == wire.Consent(granted=False, last_seq=1, retract=True)
    await again.discard(0)
    await declining


async def test_the_connection_of_a_cancelled_grant_is_let_go(opened: Opened) -> None:
    dialog, peer = await opened()

    await _cut_off(dialog, peer, until_left=False)

    await peer.until_left()
    with pytest.raises(consentful.OutcomeUnknown):
        await dialog.say("x")


async def test_a_grant_that_is_cancelled_before_it_went_out_changes_nothing(
    server: ScriptedServer, opened: Opened
) -> None:
    dialog, peer = await opened()
    await peer.drop()
    silent = await server.accept()
    granting = task(dialog.grant())
    await asyncio.sleep(0)  # a turn of the loop, in which it begins
    granting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await granting

    await silent.open()
    await dialog.say("one")
    declining = task(dialog.decline())

    assert await silent.expect(wire.Consent) == wire.Consent(granted=False, last_seq=1)
    await silent.discard(0)
    await declining


async def test_no_server_after_the_question_leaves_the_outcome_unknown(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened(reconnect_for=1.0)
    await dialog.say("one")
    granting = task(dialog.grant())
    await peer.hear(1)
    await peer.expect(wire.Consent)
    server.refusals.extend(SO_MANY_503)
    await peer.drop()

    with pytest.raises(consentful.OutcomeUnknown) as caught:
        await granting

    assert caught.value.dialog is dialog
    assert isinstance(caught.value.__cause__, consentful.Unavailable)


async def test_no_server_before_the_question_leaves_nothing_unknown(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened(reconnect_for=1.0)
    server.refusals.extend(SO_MANY_503)
    await peer.drop()
    await server.until_asked(2)

    with pytest.raises(consentful.Unavailable):
        await task(dialog.grant())
    server.refusals.clear()

    granting = task(dialog.grant())
    again = await server.accept_open()
    await again.expect(wire.Consent)
    await again.store(0)
    await granting


@pytest.mark.parametrize("code", [4508, 4511, 4501, 1009])
async def test_a_final_close_after_the_question_leaves_it_unknown_too(opened: Opened, code: int) -> None:
    dialog, peer = await opened()
    granting = task(dialog.grant())
    await peer.expect(wire.Consent)
    await peer.close(code)

    with pytest.raises(consentful.OutcomeUnknown):
        await granting


async def test_a_token_that_ended_before_the_grant_leaves_no_doubt(server: ScriptedServer, opened: Opened) -> None:
    tokens = iter(["old", "ended", "ended"])
    dialog, peer = await opened(token=lambda: next(tokens))
    await dialog.say("one")
    granting = task(dialog.grant())
    await peer.hear(1)
    await peer.expect(wire.Consent)
    server.refusals.extend([(401, {}), (401, {})])
    await _expire(peer)

    with pytest.raises(consentful.Unauthorised, match=r"^nothing was stored: .* call grant\(\) again once") as caught:
        await granting
    assert caught.value.code == "unauthenticated"

    server.refusals.clear()
    tokens = iter(["new"])
    granting = task(dialog.grant())
    again = await server.accept_open()
    await again.hear(1)
    await again.expect(wire.Consent)
    await again.store(1)
    assert (await granting).messages == 1


async def test_or_only_the_doubt_that_an_earlier_socket_left(server: ScriptedServer, opened: Opened) -> None:
    dialog, peer = await opened(token="ends soon")
    granting = task(dialog.grant())
    await peer.expect(wire.Consent)
    await peer.drop()
    again = await server.accept_open()
    await again.expect(wire.Consent)
    server.refusals.append((401, {}))
    await _expire(again)

    with pytest.raises(consentful.OutcomeUnknown):
        await granting


@pytest.mark.parametrize(("code", "kind"), [(4509, consentful.Conflict), (4510, consentful.Erased)])
async def test_but_a_server_that_has_looked_knows(
    opened: Opened, code: int, kind: type[consentful.ConsentfulError]
) -> None:
    dialog, peer = await opened()
    granting = task(dialog.grant())
    await peer.expect(wire.Consent)
    await peer.close(code)

    with pytest.raises(kind):
        await granting
    with pytest.raises(kind):
        await dialog.decline()


async def test_after_the_block_it_can_still_be_decided(server: ScriptedServer, opens: Opens) -> None:
    held: list[Dialog] = []

    async def chat() -> None:
        async with opens() as dialog:
            held.append(dialog)
            await dialog.say("one")
            await dialog.grant()

    chatting = task(chat())
    peer = await server.accept_open()
    await peer.hear(1)
    await peer.expect(wire.Consent)
    chatting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await chatting

    granting = task(held[0].grant())
    again = await server.accept_open()
    await again.hear(1)
    await again.expect(wire.Consent)
    await again.store(1)

    assert (await granting).messages == 1
    assert len(asyncio.all_tasks()) == 1 + _serving(server)  # nothing is left running


async def test_a_try_after_the_block_that_decides_nothing_leaves_no_socket(
    server: ScriptedServer, opens: Opens
) -> None:
    held: list[Dialog] = []

    async def chat() -> None:
        async with opens() as dialog:
            held.append(dialog)
            await dialog.grant()

    chatting = task(chat())
    peer = await server.accept_open()
    await peer.expect(wire.Consent)
    chatting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await chatting

    granting = task(held[0].grant())
    again = await server.accept_open()
    await again.expect(wire.Consent)
    await again.send(wire.Error("purposes", "no such purpose"))

    with pytest.raises(consentful.Incomplete):
        await granting
    await again.until_left()


async def test_leaving_with_a_swallowed_doubt_tells_of_it(server: ScriptedServer, opens: Opens) -> None:
    async def chat() -> None:
        async with opens() as dialog:
            granting = asyncio.create_task(dialog.grant())
            peer = await peers.get()
            await peer.expect(wire.Consent)
            granting.cancel()
            await asyncio.wait([granting])

    peers: asyncio.Queue[Peer] = asyncio.Queue()
    chatting = task(chat())
    await peers.put(await server.accept_open())

    with pytest.raises(consentful.OutcomeUnknown) as caught:
        await chatting

    assert isinstance(caught.value.dialog, Dialog)


async def test_a_doubt_that_was_told_is_not_told_again(server: ScriptedServer, opens: Opens) -> None:
    async def chat() -> None:
        async with opens(reconnect_for=0) as dialog:
            with pytest.raises(consentful.OutcomeUnknown):
                await dialog.grant()

    chatting = task(chat())
    peer = await server.accept_open()
    await peer.expect(wire.Consent)
    await peer.drop()

    await chatting


async def test_the_wording_that_was_shown_is_the_one_consented_to(server: ScriptedServer, opened: Opened) -> None:
    newer = wire.Notice("n-2", "en", "Another wording", "11" * 32, ["improve-chatbot"])
    dialog, peer = await opened()
    await dialog.say("one")
    await peer.hear(1)
    await peer.drop()
    again = await server.accept_open(notice=newer)
    await again.hear(1)
    assert dialog.notice == NOTICE

    granting = task(dialog.grant())
    assert (await again.expect(wire.Consent)).notice == "n-1"
    await again.send(wire.Error("notice", "no such notice"))
    with pytest.raises(consentful.Incomplete):
        await granting

    assert dialog.notice == newer


async def test_a_no_that_is_cut_off_leaves_no_doubt_and_can_be_said_again(
    server: ScriptedServer, opened: Opened
) -> None:
    dialog, peer = await opened()
    declining = task(dialog.decline())
    await peer.expect(wire.Consent)
    declining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await declining
    for call in (dialog.say("x"), dialog.grant()):
        with pytest.raises(consentful.Finished, match="declined"):
            await call

    again = task(dialog.decline())
    peer = await server.accept_open()
    assert await peer.expect(wire.Consent) == wire.Consent(granted=False, last_seq=0)
    await peer.discard(0)

    await again


async def _expire(peer: Peer) -> None:
    """Refuse the consent, because the token has expired."""
    await peer.send(wire.Error("token_expired", "the token has expired", retry=True))
    await peer.close(4003)


async def _cut_off(dialog: Dialog, peer: Peer, *, until_left: bool = True) -> None:
    """Grant, and cancel when the question has arrived."""
    granting = task(dialog.grant())
    while not isinstance(await peer.receive(), wire.Consent):
        pass
    granting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await granting
    if until_left:
        await peer.until_left()


def _serving(server: ScriptedServer) -> int:
    """How many tasks belong to the server's side."""
    return sum(1 for one in asyncio.all_tasks() if "RequestHandler" in repr(one.get_coro()))
