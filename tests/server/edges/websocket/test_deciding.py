"""What a decision does, and that nothing else is looked at meanwhile (contract §1, rules 3 to 5)."""

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful.wire import Consent, Error, Message, Stored
from consentful_server.consent.notices import Wording
from consentful_server.errors import OutcomeUnknown, StorageFailed
from consentful_server.testing import FakeClock, Served
from faulty_store import HeldStore, fail_once
from kept import get, texts
from live import Live

from .dialogs import GRANT, MARKER, claims, expect_nothing_left, hang_up, replay


async def test_a_partial_dialog_is_never_stored(live: Live, http: ClientSession) -> None:
    await live.open(customer_id="c-1")
    await live.say("first")

    await live.send(Consent(granted=True, last_seq=2))

    error = await live.receive(Error)
    assert (error.code, error.expected) == ("incomplete", 1)
    assert await texts(http) == []
    await live.say("second")
    assert (await live.grant()).messages == 2


async def test_consent_to_fewer_messages_than_were_said_is_refused(live: Live, http: ClientSession) -> None:
    await live.open()
    await live.say("first")
    await live.say("second")

    await live.send(Consent(granted=True, last_seq=1))

    assert (await live.receive(Error)).code == "incomplete"
    assert await texts(http) == []


async def test_consent_to_an_empty_dialog_is_refused_and_the_dialog_goes_on(live: Live) -> None:
    await live.open()

    await live.send(Consent(granted=True, last_seq=0))

    assert (await live.receive(Error)).code == "empty"
    await live.say("first")
    await live.grant()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"notice": "n-0"}, "notice"),
        ({"purposes": []}, "purposes"),
        ({"purposes": ["advertising"]}, "purposes"),
        ({"purposes": ["improve", "advertising"]}, "purposes"),
    ],
)
async def test_consent_to_what_was_not_on_offer_is_refused_and_the_dialog_goes_on(
    live: Live, http: ClientSession, two_purposes: Wording, fields: dict[str, Any], code: str
) -> None:
    await live.open()
    await live.say("first")

    await live.send(Consent(granted=True, last_seq=1, **fields))

    assert (await live.receive(Error)).code == code
    assert await texts(http) == []
    await live.grant(notice=two_purposes.id)


async def test_consent_covers_the_purposes_that_were_named_and_no_other(
    live: Live, http: ClientSession, two_purposes: Wording
) -> None:
    opened = await live.open(dialog_id="d-1")
    await live.say("first")

    stored = await live.grant(purposes=["research"])

    assert opened.notice.purposes == ["improve", "research"]
    kept = await get(http, "/v1/dialogs/d-1")
    assert kept["purposes"] == claims(stored)["purposes"] == ["research"]
    assert kept["notice"]["sha256"] == claims(stored)["notice"]["sha256"] == two_purposes.sha256
    assert await texts(http, purpose="improve") == []


async def test_a_grant_is_stored_before_it_is_answered_and_the_socket_closes(
    live: Live, http: ClientSession, service: Served, clock: FakeClock
) -> None:
    await live.open(dialog_id="d-1")
    await live.say("first")

    stored = await live.grant()

    assert await texts(http) == ["first"]
    assert (stored.dialog_id, stored.messages, stored.stored_at) == ("d-1", 1, clock.now())
    assert await live.closed() == 1000
    await expect_nothing_left(service)


async def test_a_no_drops_everything(live: Live, http: ClientSession, service: Served) -> None:
    await live.open(dialog_id="d-1")
    await live.say("first")

    discarded = await live.decline()

    assert (discarded.dialog_id, discarded.messages) == ("d-1", 1)
    assert await live.closed() == 1000
    assert await texts(http) == []
    await expect_nothing_left(service)


@pytest.mark.parametrize(
    "no",
    [
        Consent(granted=False, last_seq=99),
        Consent(granted=False, last_seq=0),
        Consent(granted=False, last_seq=1, notice="n-0"),
        Consent(granted=False, last_seq=1, purposes=["advertising"]),
        Consent(granted=False, last_seq=1, purposes=[]),
    ],
)
async def test_a_no_is_never_refused(live: Live, no: Consent) -> None:
    await live.open()
    await live.say("first")

    await live.send(no)

    frames, code = await live.until_closed()
    assert [type(frame).__name__ for frame in frames] == ["Discarded"]
    assert code == 1000


async def test_a_no_to_an_empty_dialog_is_taken(live: Live) -> None:
    await live.open()

    assert (await live.decline()).messages == 0


async def test_what_comes_after_a_decision_is_not_looked_at(live: Live, http: ClientSession) -> None:
    await live.open()
    await live.say("first")

    await live.send(GRANT)
    await live.send(Message(2, "too late"))
    await live.send(Consent(granted=False, last_seq=2))

    frames, code = await live.until_closed()
    assert [type(frame) for frame in frames] == [Stored]
    assert code == 1000
    assert await texts(http) == ["first"]


async def test_a_disconnect_before_the_decision_stores_nothing(
    live: Live, http: ClientSession, service: Served
) -> None:
    await live.open()
    await live.say("first")
    assert service.service.registry.bytes_used > 0

    await live.socket.close()

    await expect_nothing_left(service)
    assert await texts(http) == []


async def test_a_disconnect_after_the_decision_does_not_undo_it(
    live: Live, http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = HeldStore(service, monkeypatch)
    await live.open()
    await live.say("first")
    await live.send(GRANT)
    await store.reached.wait()

    hang_up(live)
    store.let_go.set()

    await expect_nothing_left(service)
    assert await texts(http) == ["first"]


async def test_time_does_not_run_out_during_a_decision(
    live: Live, service: Served, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = HeldStore(service, monkeypatch)
    await live.open()
    await live.say("first")
    await live.send(GRANT)
    await store.reached.wait()

    clock.advance(100_000)
    service.service.registry.tick(clock.monotonic())
    store.let_go.set()

    frames, code = await live.until_closed()
    assert [type(frame) for frame in frames] == [Stored]
    assert code == 1000


class TestFailingStore:
    async def test_a_failure_is_told_and_the_same_consent_may_be_sent_again(
        self, live: Live, http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await live.open()
        await live.say("first")
        fail_once(service, monkeypatch, StorageFailed())

        await live.send(GRANT)

        error = await live.receive(Error)
        assert (error.code, error.retry) == ("storage", True)
        assert await texts(http) == []
        await live.say("second")
        assert (await live.grant()).messages == 2

    async def test_an_unknown_outcome_closes_and_a_replay_finds_out(
        self, live: Live, dial: Callable[..., Any], service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await live.open(dialog_id="d-1")
        await live.say("first")
        fail_once(service, monkeypatch, OutcomeUnknown())

        await live.send(GRANT)

        error = await live.receive(Error)
        assert (error.code, error.retry) == ("unknown", True)
        assert await live.closed() == 4004
        again = await replay(dial, "first")
        assert (await again.grant()).messages == 1

    async def test_a_withdrawal_that_fails_may_be_sent_again(
        self, dial: Callable[..., Any], http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await (await replay(dial, "first")).grant()
        again = await dial()
        await again.open(dialog_id="d-1")
        fail_once(service, monkeypatch, StorageFailed(), method="erase")

        await again.send(Consent(granted=False, last_seq=0))

        error = await again.receive(Error)
        assert (error.code, error.retry) == ("storage", True)
        assert await texts(http) == ["first"]
        await again.decline()
        assert await texts(http) == []

    async def test_a_no_that_failed_holds_nothing_more_and_its_repetition_tells_what_was_dropped(
        self, dial: Callable[..., Any], service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await (await replay(dial, "first")).grant()
        again = await replay(dial, "first")
        fail_once(service, monkeypatch, StorageFailed(), method="erase")
        await again.send(Consent(granted=False, last_seq=1))
        assert (await again.receive(Error)).code == "storage"

        await again.send(Message(1, "second"))
        assert (await again.receive(Error)).code == "order"
        discarded = await again.decline()

        assert discarded.messages == 1

    async def test_a_fault_of_ours_closes_1011_so_that_the_client_replays(
        self, live: Live, service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await live.open()
        await live.say("first")
        fail_once(service, monkeypatch, RuntimeError(MARKER))

        await live.send(GRANT)

        assert await live.closed() == 1011
        await expect_nothing_left(service)
