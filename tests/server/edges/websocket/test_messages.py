"""Messages are held in order, acked, and come back as they were said (contract §1, rules 2 and 8)."""

import pytest
from aiohttp import ClientSession

from consentful.wire import Ack, Error, Message
from consentful_server.testing import FakeClock
from kept import get, texts
from live import Live


async def test_a_message_is_acked(live: Live) -> None:
    await live.open()

    await live.send(Message(1, "Hi"))

    assert await live.receive(Ack) == Ack(1)


async def test_acks_are_cumulative_one_for_all_that_came_together(live: Live) -> None:
    await live.open()
    for seq in range(1, 101):
        await live.send(Message(seq, f"message {seq}"))

    acks = [await live.receive(Ack)]
    while acks[-1].seq < 100:
        acks.append(await live.receive(Ack))

    assert len(acks) <= 5
    assert acks == sorted(acks, key=lambda ack: ack.seq)


async def test_a_replayed_message_is_acked_and_ignored(live: Live, http: ClientSession) -> None:
    await live.open()
    await live.say("first")
    await live.say("second")

    await live.send(Message(1, "first"))

    assert await live.receive(Ack) == Ack(2)
    await live.grant()
    assert await texts(http) == ["second", "first"]


async def test_another_text_under_a_number_that_is_held_is_a_conflict_and_changes_nothing(
    live: Live, http: ClientSession
) -> None:
    await live.open()
    await live.say("first")
    await live.say("second")

    await live.send(Message(1, "another first"))

    error = await live.receive(Error)
    assert (error.code, error.seq, error.retry) == ("conflict", 1, None)
    assert "another first" not in error.detail
    await live.say("third")
    await live.grant()
    assert await texts(http) == ["third", "second", "first"]


async def test_a_client_that_keeps_contradicting_itself_is_closed(live: Live) -> None:
    await live.open()
    await live.say("first")

    for _ in range(20):
        await live.send(Message(1, "another first"))

    assert [(await live.receive(Error)).code for _ in range(20)] == ["conflict"] * 20
    assert await live.closed() == 4500


async def test_a_gap_is_told_and_the_dialog_goes_on(live: Live) -> None:
    await live.open()
    await live.say("first")

    await live.send(Message(3, "third"))

    error = await live.receive(Error)
    assert (error.code, error.expected, error.seq) == ("gap", 2, 3)
    await live.say("second")


@pytest.mark.parametrize(
    ("settings", "said", "over"),
    [
        ({"max_text_bytes": 8}, ["12345678"], "123456789"),
        ({"max_text_bytes": 8}, ["ääää"], "ääää1"),
        ({"max_text_bytes": 8, "max_dialog_bytes": 10}, ["12345678"], "123"),
        ({"max_messages": 2}, ["1", "2"], "3"),
    ],
)
async def test_a_message_over_a_limit_uses_no_seq_and_what_was_acked_can_be_consented_to(
    live: Live, http: ClientSession, said: list[str], over: str
) -> None:
    await live.open()
    for text in said:
        await live.say(text)

    await live.send(Message(len(said) + 1, over))

    error = await live.receive(Error)
    assert (error.code, error.seq, error.expected) == ("limit", len(said) + 1, len(said) + 1)
    assert (await live.grant()).messages == len(said)
    assert await texts(http) == said[::-1]


@pytest.mark.parametrize("settings", [{"max_text_bytes": 8}])
async def test_another_message_may_be_sent_under_the_number_of_a_refused_one(live: Live, http: ClientSession) -> None:
    await live.open()
    await live.send(Message(1, "much too long"))
    assert (await live.receive(Error)).code == "limit"

    await live.say("shorter")

    await live.grant()
    assert await texts(http) == ["shorter"]


async def test_a_text_of_the_limit_with_every_byte_escaped_fits_the_frame(live: Live) -> None:
    opened = await live.open()
    await live.say("\x01" * opened.limits.max_text_bytes)

    assert (await live.grant()).messages == 1


async def test_everything_that_was_said_comes_back(live: Live, http: ClientSession, clock: FakeClock) -> None:
    await live.open("c-1", dialog_id="d-1", language="EN", bot="shop", metadata={"page": "cart"})
    await live.say("Hi \x00 \u2028 👋 <b>")
    await live.send_raw(
        b'{"type":"message","seq":2,"text":"Hallo","role":"bot","language":"DE","sent_at":"2026-01-01T01:00:00+02:00"}'
    )
    await live.receive(Ack)
    live.said += 1
    await live.grant(given_by="representative")

    kept = await get(http, "/v1/dialogs/d-1")

    now = clock.now().isoformat().replace("+00:00", "Z")
    assert (kept["customer_id"], kept["language"], kept["bot"]) == ("c-1", "en", "shop")
    assert (kept["metadata"], kept["given_by"]) == ({"page": "cart"}, "representative")
    first, second = kept["messages"]
    assert (first["text"], first["role"], first["language"]) == ("Hi \x00 \u2028 👋 <b>", "customer", "en")
    assert (second["text"], second["role"], second["language"]) == ("Hallo", "bot", "de")
    assert (first["sent_at"], second["sent_at"]) == (None, "2025-12-31T23:00:00Z")
    assert first["received_at"] == first["stored_at"] == now
