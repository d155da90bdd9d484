"""The rules of a live dialog (contract §1), over a real socket."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientSession, WSMsgType

from consentful.wire import Ack, Closing, Consent, Error, Message, Open, Opened, Stored
from consentful_server.archive.store import Candidate, StoredDialog
from consentful_server.consent.notices import Wording
from consentful_server.dialogs.registry import Holder
from consentful_server.errors import OutcomeUnknown, StorageFailed
from consentful_server.testing import FakeClock, Served
from kept import eventually, get, messages, texts
from live import Live
from raw import masked, upgrade
from receipts import claims_of

MARKER = "contraband-4711"
GRANT = Consent(granted=True, last_seq=1)


class HeldStore:
    """Puts itself before a store's `keep`: each one waits until it is let go."""

    def __init__(self, service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        self._keep = service.service.store.dialogs.keep
        self.reached = asyncio.Event()
        self.let_go = asyncio.Event()
        monkeypatch.setattr(service.service.store.dialogs, "keep", self.keep)

    async def keep(self, candidate: Candidate) -> StoredDialog:
        self.reached.set()
        await self.let_go.wait()
        return await self._keep(candidate)


def fail_once(service: Served, monkeypatch: pytest.MonkeyPatch, error: Exception, method: str = "keep") -> None:
    """Let the store fail the next time, and work from then on."""
    store = service.service.store.dialogs
    works = getattr(store, method)

    async def fails(*_: Any, **__: Any) -> Any:
        monkeypatch.setattr(store, method, works)
        raise error

    monkeypatch.setattr(store, method, fails)


async def expect_nothing_left(service: Served) -> None:
    """Nobody is live, and no memory is counted."""
    await eventually(lambda: len(service.service.registry) == 0)
    assert service.service.registry.bytes_used == 0


class TestOpen:
    async def test_the_notice_and_the_limits_come_before_the_first_word(self, live: Live, service: Served) -> None:
        opened = await live.open(dialog_id="d-1")

        assert opened.dialog_id == "d-1"
        assert opened.limits == service.service.limits
        assert opened.notice.text
        assert opened.notice.purposes == ["improve-chatbot"]

    async def test_a_dialog_without_an_id_gets_a_uuid7(self, live: Live) -> None:
        assert UUID((await live.open()).dialog_id).version == 7

    async def test_the_notice_speaks_the_dialogs_language(self, live: Live) -> None:
        assert (await live.open(language="DE-at")).notice.language == "de"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *(("dialog_id", value) for value in ("", ".", "..", "a/b", "a b", "ä", "d\n", "d" * 201, 7)),
            *(("customer_id", value) for value in ("", "c" * 201, None, 7)),
            *(("language", value) for value in ("", "not a tag", "notalanguage", "en\n")),
            *(("bot", value) for value in ("", "b" * 201, "b\x00")),
            *(("metadata", value) for value in ({"k": 1}, {"": "v"}, ["v"], {"k": "v" * 4096})),
        ],
    )
    async def test_a_malformed_open_is_refused_by_name_and_may_be_mended(
        self, live: Live, field: str, value: object
    ) -> None:
        await live.send_raw(as_json({"type": "open", "customer_id": "c-1"} | {field: value}))

        error = await live.receive(Error)

        assert (error.code, error.detail.partition(":")[0].partition("[")[0]) == ("frame", f"$.{field}")
        await live.open()

    @pytest.mark.parametrize(
        "fields",
        [
            {"customer_id": "c" * 200},
            {"dialog_id": "d" * 200},
            {"dialog_id": "A-z0.9_~:"},
            {"metadata": {"k": "v" * 4095}},
            {"bot": "b" * 200},
        ],
    )
    async def test_what_is_just_within_the_schema_is_taken(self, live: Live, fields: dict[str, Any]) -> None:
        await live.open(**fields)

    @pytest.mark.parametrize("early", [Message(1, "Hi"), GRANT, Consent(granted=False, last_seq=0)])
    async def test_open_must_come_first(self, live: Live, early: Message | Consent) -> None:
        await live.send(early)

        assert (await live.receive(Error)).code == "order"
        await live.open()

    async def test_a_second_open_is_refused_and_the_dialog_goes_on(self, live: Live, http: ClientSession) -> None:
        await live.open("c-1", dialog_id="d-1")
        await live.say("first")

        await live.send(Open("c-2", "d-2"))

        assert (await live.receive(Error)).code == "order"
        await live.say("second")
        assert (await live.grant()).dialog_id == "d-1"
        assert await texts(http) == ["second", "first"]

    async def test_a_connection_that_does_not_open_within_ten_seconds_is_closed(
        self, live: Live, service: Served, clock: FakeClock
    ) -> None:
        await eventually(lambda: len(service.service.registry) == 1)
        clock.advance(9.9)
        service.service.registry.tick(clock.monotonic())
        await live.send(GRANT)
        assert (await live.receive(Error)).code == "order"  # still there, and bad frames gain no time

        clock.advance(0.1)
        service.service.registry.tick(clock.monotonic())

        assert await live.closed() == 4512
        await expect_nothing_left(service)


class TestSay:
    async def test_a_message_is_acked(self, live: Live) -> None:
        await live.open()

        await live.send(Message(1, "Hi"))

        assert await live.receive(Ack) == Ack(1)

    async def test_acks_are_cumulative_one_for_all_that_came_together(self, live: Live) -> None:
        await live.open()
        for seq in range(1, 101):
            await live.send(Message(seq, f"message {seq}"))

        acks = [await live.receive(Ack)]
        while acks[-1].seq < 100:
            acks.append(await live.receive(Ack))

        assert len(acks) <= 5
        assert acks == sorted(acks, key=lambda ack: ack.seq)

    async def test_a_replayed_message_is_acked_and_ignored(self, live: Live, http: ClientSession) -> None:
        await live.open()
        await live.say("first")
        await live.say("second")

        await live.send(Message(1, "another first"))

        assert await live.receive(Ack) == Ack(2)
        await live.grant()
        assert await texts(http) == ["second", "first"]

    async def test_a_gap_is_told_and_the_dialog_goes_on(self, live: Live) -> None:
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
        self, live: Live, http: ClientSession, said: list[str], over: str
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
    async def test_another_message_may_be_sent_under_the_number_of_a_refused_one(
        self, live: Live, http: ClientSession
    ) -> None:
        await live.open()
        await live.send(Message(1, "much too long"))
        assert (await live.receive(Error)).code == "limit"

        await live.say("shorter")

        await live.grant()
        assert await texts(http) == ["shorter"]

    async def test_a_text_of_the_limit_with_every_byte_escaped_fits_the_frame(self, live: Live) -> None:
        opened = await live.open()
        await live.say("\x01" * opened.limits.max_text_bytes)

        assert (await live.grant()).messages == 1

    async def test_everything_that_was_said_comes_back(self, live: Live, http: ClientSession, clock: FakeClock) -> None:
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


class TestConsent:
    async def test_a_partial_dialog_is_never_stored(self, live: Live, http: ClientSession) -> None:
        await live.open(customer_id="c-1")
        await live.say("first")

        await live.send(Consent(granted=True, last_seq=2))

        error = await live.receive(Error)
        assert (error.code, error.expected) == ("incomplete", 1)
        assert await texts(http) == []
        await live.say("second")
        assert (await live.grant()).messages == 2

    async def test_consent_to_fewer_messages_than_were_said_is_refused(self, live: Live, http: ClientSession) -> None:
        await live.open()
        await live.say("first")
        await live.say("second")

        await live.send(Consent(granted=True, last_seq=1))

        assert (await live.receive(Error)).code == "incomplete"
        assert await texts(http) == []

    async def test_consent_to_an_empty_dialog_is_refused_and_the_dialog_goes_on(self, live: Live) -> None:
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
        self, live: Live, http: ClientSession, two_purposes: Wording, fields: dict[str, Any], code: str
    ) -> None:
        await live.open()
        await live.say("first")

        await live.send(Consent(granted=True, last_seq=1, **fields))

        assert (await live.receive(Error)).code == code
        assert await texts(http) == []
        await live.grant(notice=two_purposes.id)

    async def test_consent_covers_the_purposes_that_were_named_and_no_other(
        self, live: Live, http: ClientSession, two_purposes: Wording
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
        self, live: Live, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await live.open(dialog_id="d-1")
        await live.say("first")

        stored = await live.grant()

        assert await texts(http) == ["first"]
        assert (stored.dialog_id, stored.messages, stored.stored_at) == ("d-1", 1, clock.now())
        assert await live.closed() == 1000
        await expect_nothing_left(service)

    async def test_a_no_drops_everything(self, live: Live, http: ClientSession, service: Served) -> None:
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
    async def test_a_no_is_never_refused(self, live: Live, no: Consent) -> None:
        await live.open()
        await live.say("first")

        await live.send(no)

        frames, code = await live.until_closed()
        assert [type(frame).__name__ for frame in frames] == ["Discarded"]
        assert code == 1000

    async def test_a_no_to_an_empty_dialog_is_taken(self, live: Live) -> None:
        await live.open()

        assert (await live.decline()).messages == 0

    async def test_what_comes_after_a_decision_is_not_looked_at(self, live: Live, http: ClientSession) -> None:
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
        self, live: Live, http: ClientSession, service: Served
    ) -> None:
        await live.open()
        await live.say("first")
        assert service.service.registry.bytes_used > 0

        await live.socket.close()

        await expect_nothing_left(service)
        assert await texts(http) == []

    async def test_a_disconnect_after_the_decision_does_not_undo_it(
        self, live: Live, http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
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
        self, live: Live, service: Served, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
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


class TestReplay:
    async def test_a_lost_reply_costs_nothing(
        self, dial: Callable[..., Any], http: ClientSession, clock: FakeClock
    ) -> None:
        first = await (await replay(dial, "one", "two")).grant()
        clock.advance(5)

        second = await (await replay(dial, "one", "two")).grant()

        assert second == first
        assert await texts(http) == ["two", "one"]

    async def test_content_is_the_same_after_normalising(self, dial: Callable[..., Any]) -> None:
        first = await (await replay(dial, "one", language="EN-us")).grant()

        assert await (await replay(dial, "one", language="en-US")).grant() == first

    async def test_a_concurrent_duplicate_waits_for_the_first(
        self, dial: Callable[..., Any], service: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = HeldStore(service, monkeypatch)
        older, newer = await replay(dial, "one"), await dial()
        await older.send(GRANT)
        await store.reached.wait()

        await newer.send(Open("c-1", "d-1"))
        await newer.send(Message(1, "one"))
        await newer.send(GRANT)
        store.let_go.set()

        stored = await older.receive(Stored)
        assert await older.closed() == 1000
        await newer.receive(Opened)
        assert await newer.receive(Stored) == stored
        assert await texts(http) == ["one"]

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({}, ["two"]),
            ({}, ["one", "two"]),
            ({"customer_id": "c-2"}, ["one"]),
            ({"language": "de"}, ["one"]),
        ],
    )
    async def test_the_same_id_with_other_content_is_a_conflict(
        self, dial: Callable[..., Any], http: ClientSession, fields: dict[str, str], said: list[str]
    ) -> None:
        await (await replay(dial, "one")).grant()
        other = await replay(dial, *said, **fields)

        await other.send(Consent(granted=True, last_seq=len(said)))

        assert (await other.receive(Error)).code == "conflict"
        assert await other.closed() == 4509
        assert await texts(http) == ["one"]

    async def test_another_role_is_other_content(self, dial: Callable[..., Any]) -> None:
        await (await replay(dial, "one")).grant()
        other = await dial()
        await other.open(dialog_id="d-1")
        await other.say("one", role="bot")

        await other.send(GRANT)

        assert (await other.receive(Error)).code == "conflict"

    async def test_narrower_purposes_narrow(
        self, dial: Callable[..., Any], http: ClientSession, two_purposes: Wording
    ) -> None:
        wide = await (await replay(dial, "one")).grant()

        narrow = await (await replay(dial, "one")).grant(purposes=["improve"])

        assert (narrow.withdrawal_code, narrow.stored_at) == (wide.withdrawal_code, wide.stored_at)
        assert claims(narrow)["purposes"] == ["improve"]
        assert (await get(http, "/v1/dialogs/d-1"))["purposes"] == ["improve"]
        assert await texts(http, purpose="research") == []
        assert await texts(http, purpose=two_purposes.purposes[0]) == ["one"]

    @pytest.mark.parametrize("fields", [{"bot": "other"}, {"language": "de"}, {"metadata": {"k": "v"}}, {}])
    async def test_what_was_narrowed_still_opens_whatever_else_the_replay_said(
        self,
        dial: Callable[..., Any],
        http: ClientSession,
        clock: FakeClock,
        two_purposes: Wording,
        fields: dict[str, Any],
    ) -> None:
        first = await dial()
        await first.open(dialog_id="d-1", language="en", bot="shop")
        await first.say("one", language="en")
        await first.grant()
        before = await get(http, "/v1/dialogs/d-1")
        clock.advance(86_400)

        again = await dial()
        await again.open(dialog_id="d-1", **({"language": "en", "bot": "shop"} | fields))
        await again.say("one", language="en")
        await again.grant(purposes=["improve"])

        after = await get(http, "/v1/dialogs/d-1")
        assert after["purposes"] == ["improve"]
        assert (after["expires_at"], after["bot"]) == (before["expires_at"], "shop"), "narrower, and nothing else"
        assert await texts(http) == ["one"]

    async def test_wider_purposes_are_a_conflict(
        self, dial: Callable[..., Any], http: ClientSession, two_purposes: Wording
    ) -> None:
        await (await replay(dial, "one")).grant(purposes=["improve"])
        wider = await replay(dial, "one")

        await wider.send(Consent(granted=True, last_seq=1, purposes=list(two_purposes.purposes)))

        assert (await wider.receive(Error)).code == "conflict"
        assert (await get(http, "/v1/dialogs/d-1"))["purposes"] == ["improve"]

    async def test_a_time_that_is_none_in_utc_is_refused(self, live: Live, http: ClientSession) -> None:
        await live.open(dialog_id="d-1")
        await live.send_raw(b'{"type":"message","seq":1,"text":"x","sent_at":"0001-01-01T00:00:00+14:00"}')

        refused = await live.receive(Error)
        await live.say("one")
        await live.grant()

        assert (refused.code, "sent_at" in refused.detail) == ("frame", True)
        assert await texts(http) == ["one"]

    async def test_an_erased_id_cannot_come_back(
        self, dial: Callable[..., Any], http: ClientSession, service: Served
    ) -> None:
        await (await replay(dial, "one")).grant()
        await service.service.archive.erase("d-1", "requested")
        again = await replay(dial, "one")

        await again.send(GRANT)

        assert (await again.receive(Error)).code == "erased"
        assert await again.closed() == 4510
        assert await texts(http) == []

    @pytest.mark.parametrize("said", [[], ["one"], ["other", "words"]])
    async def test_a_no_to_a_stored_dialog_withdraws_it_whatever_was_replayed(
        self, dial: Callable[..., Any], http: ClientSession, said: list[str]
    ) -> None:
        await (await replay(dial, "one")).grant()

        await (await replay(dial, *said)).decline()

        assert await texts(http) == []
        assert (await http.get("/v1/dialogs/d-1")).status == 410

    async def test_another_customers_no_withdraws_nothing(self, dial: Callable[..., Any], http: ClientSession) -> None:
        await (await replay(dial, "one")).grant()

        await (await replay(dial, customer_id="c-2")).decline(retract=True)

        assert await texts(http) == ["one"]

    async def test_a_retracted_grant_cannot_come_in_later(self, dial: Callable[..., Any], http: ClientSession) -> None:
        await (await replay(dial, "one")).decline(retract=True)
        late = await replay(dial, "one")

        await late.send(GRANT)

        assert (await late.receive(Error)).code == "erased"
        assert await texts(http) == []

    async def test_a_plain_no_leaves_the_id_free(self, dial: Callable[..., Any], http: ClientSession) -> None:
        await (await replay(dial, "one")).decline()

        await (await replay(dial, "two")).grant()

        assert await texts(http) == ["two"]

    async def test_declining_changes_nothing_for_the_next_dialog(
        self, dial: Callable[..., Any], http: ClientSession
    ) -> None:
        await (await replay(dial, "one")).decline()

        await (await replay(dial, "two", dialog_id="d-2")).grant()

        assert await texts(http) == ["two"]


class TestTakeover:
    async def test_the_newer_connection_wins_and_the_older_is_closed(
        self, dial: Callable[..., Any], http: ClientSession, service: Served
    ) -> None:
        older = await replay(dial, "one")

        newer = await replay(dial, "one")

        assert await older.closed() == 4511
        assert (await newer.grant()).messages == 1
        assert await newer.closed() == 1000
        assert await texts(http) == ["one"]
        await expect_nothing_left(service)

    async def test_another_customer_gets_a_conflict_and_the_older_goes_on(self, dial: Callable[..., Any]) -> None:
        older, newer = await replay(dial, "one"), await dial()

        await newer.send(Open("c-2", "d-1"))

        assert (await newer.receive(Error)).code == "conflict"
        assert await newer.closed() == 4509
        assert (await older.grant()).messages == 1

    @pytest.mark.parametrize("settings", [{"auth": "keys"}])
    async def test_another_credential_gets_a_conflict(self, dial: Callable[..., Any], service: Served) -> None:
        mine, theirs = await service.create_key(name="mine"), await service.create_key(name="theirs")
        older, newer = await replay(dial, "one", token=mine), await dial(token=theirs)

        await newer.send(Open("c-1", "d-1"))

        assert (await newer.receive(Error)).code == "conflict"
        assert await newer.closed() == 4509
        assert (await older.grant()).messages == 1

    async def test_a_takeover_waits_for_a_failing_decision_and_then_has_the_dialog(
        self, dial: Callable[..., Any], service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        older, newer = await replay(dial, "one"), await dial()
        fail_once(service, monkeypatch, StorageFailed())
        store = HeldStore(service, monkeypatch)
        await older.send(GRANT)
        await store.reached.wait()

        await newer.send(Open("c-1", "d-1"))
        store.let_go.set()

        assert (await older.receive(Error)).code == "storage"
        assert await older.closed() == 4511
        await newer.receive(Opened)
        await newer.say("one")
        assert (await newer.grant()).messages == 1

    async def test_a_newcomer_that_gives_up_waiting_leaves_the_id_free(
        self, dial: Callable[..., Any], service: Served, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = HeldStore(service, monkeypatch)
        older, newer = await replay(dial, "one"), await dial()
        await older.send(GRANT)
        await store.reached.wait()
        waits = asyncio.Event()
        claim = service.service.registry.claim

        def claiming(dialog_id: str, holder: Holder) -> asyncio.Event | None:
            waits.set()
            return claim(dialog_id, holder)

        monkeypatch.setattr(service.service.registry, "claim", claiming)
        await newer.send(Open("c-1", "d-1"))
        await waits.wait()

        clock.advance(11)
        service.service.registry.tick(clock.monotonic())
        assert await newer.closed() == 4512
        store.let_go.set()
        await older.receive(Stored)
        assert await older.closed() == 1000
        await expect_nothing_left(service)

        await (await replay(dial, "one")).grant()


class TestPatience:
    async def test_an_idle_dialog_is_warned_and_then_dropped(
        self, live: Live, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await live.open()
        await live.say("first")

        advance(service, clock, 870)
        assert await live.receive(Closing) == Closing("idle", 30)
        advance(service, clock, 30)

        assert await live.closed() == 4508
        assert await texts(http) == []
        await expect_nothing_left(service)

    async def test_a_message_resets_idleness_and_a_ping_or_a_replay_does_not(
        self, live: Live, service: Served, clock: FakeClock
    ) -> None:
        await live.open()
        await live.say("first")
        advance(service, clock, 899)
        assert (await live.receive(Closing)).reason == "idle"
        await live.say("second")
        advance(service, clock, 899)
        assert (await live.receive(Closing)).reason == "idle"

        await live.socket.ping()
        await live.send(Message(1, "first"))
        await live.receive(Ack)
        advance(service, clock, 1)

        assert await live.closed() == 4508

    async def test_a_consent_that_fails_resets_idleness(
        self, live: Live, service: Served, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await live.open()
        await live.say("first")
        advance(service, clock, 899)
        await live.receive(Closing)
        fail_once(service, monkeypatch, StorageFailed())
        await live.send(GRANT)
        assert (await live.receive(Error)).code == "storage"

        advance(service, clock, 2)

        await live.grant()

    async def test_a_dialog_that_lasts_too_long_is_warned_and_then_dropped(
        self, live: Live, http: ClientSession, service: Served, clock: FakeClock
    ) -> None:
        await live.open()
        for _ in range(108):
            await live.say("still here")
            advance(service, clock, 799)
        await live.say("still here")

        advance(service, clock, 86_400 - 108 * 799 - 30)
        assert await live.receive(Closing) == Closing("duration", 30)
        await live.say("never quiet")
        advance(service, clock, 30)

        assert await live.closed() == 4513
        assert await texts(http) == []

    async def test_a_replay_starts_both_clocks_anew(
        self, dial: Callable[..., Any], service: Served, clock: FakeClock
    ) -> None:
        older = await replay(dial, "one")
        advance(service, clock, 869)

        newer = await replay(dial, "one")
        assert await older.closed() == 4511
        advance(service, clock, 869)

        await newer.grant()

    async def test_the_line_stays_until_the_client_has_answered_the_close(
        self, service: Served, clock: FakeClock
    ) -> None:
        reader, writer = await upgraded(service)
        writer.write(masked(0x81, b'{"type":"open","customer_id":"c-1"}'))
        await reader.readuntil(b'"limits":')
        await reader.readuntil(b"}}")

        advance(service, clock, 901)

        assert await reader.readexactly(8) == b"\x88\x06" + (4508).to_bytes(2, "big") + b"idle"
        with pytest.raises(TimeoutError):  # else a reset could overtake the close code (RFC 6455 §7.1.1)
            await asyncio.wait_for(reader.read(), 0.1)
        writer.write(masked(0x88, (4508).to_bytes(2, "big")))
        assert await reader.read() == b""  # no second close frame (RFC 6455 §5.5.1)
        writer.close()
        await writer.wait_closed()


def advance(service: Served, clock: FakeClock, seconds: float) -> None:
    clock.advance(seconds)
    service.service.registry.tick(clock.monotonic())


BAD_FRAMES: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{" + MARKER.encode(), "$: "),
    "nothing": (b"", "$: "),
    "no object": (b'"' + MARKER.encode() + b'"', "$: "),
    "deep": (b"[" * 100_000, "$: "),
    "no type": (b'{"seq":1}', "$: "),
    "unknown type": (b'{"type":"%b"}' % MARKER.encode(), "$.type: "),
    "unknown field": (b'{"type":"message","seq":2,"text":"x","%b":1}' % MARKER.encode(), "$: "),
    "no text": (b'{"type":"message","seq":2}', "$: "),
    "empty text": (b'{"type":"message","seq":2,"text":""}', "$.text: "),
    "text of another type": (b'{"type":"message","seq":2,"text":["%b"]}' % MARKER.encode(), "$.text: "),
    "half a surrogate": (b'{"type":"message","seq":2,"text":"\\ud800"}', "$: "),
    "seq zero": (b'{"type":"message","seq":0,"text":"x"}', "$.seq: "),
    "seq negative": (b'{"type":"message","seq":-1,"text":"x"}', "$.seq: "),
    "seq huge": (b'{"type":"message","seq":99999999999999999999,"text":"x"}', "$"),
    "seq a fraction": (b'{"type":"message","seq":1.5,"text":"x"}', "$.seq: "),
    "seq a text": (b'{"type":"message","seq":"1","text":"x"}', "$.seq: "),
    "unknown role": (b'{"type":"message","seq":2,"text":"x","role":"%b"}' % MARKER.encode(), "$.role: "),
    "no language": (b'{"type":"message","seq":2,"text":"x","language":"notalanguage"}', "$.language: "),
    "time without an offset": (
        b'{"type":"message","seq":2,"text":"x","sent_at":"2026-01-01T00:00:00"}',
        "$.sent_at: ",
    ),
    "no time": (b'{"type":"message","seq":2,"text":"x","sent_at":"%b"}' % MARKER.encode(), "$.sent_at: "),
    "consent without granted": (b'{"type":"consent","last_seq":1}', "$: "),
    "consent granted by text": (b'{"type":"consent","granted":"true","last_seq":1}', "$.granted: "),
    "consent granted by number": (b'{"type":"consent","granted":1,"last_seq":1}', "$.granted: "),
    "consent without last_seq": (b'{"type":"consent","granted":true}', "$: "),
    "consent with a negative last_seq": (b'{"type":"consent","granted":true,"last_seq":-1}', "$.last_seq: "),
    "purpose of another type": (b'{"type":"consent","granted":true,"last_seq":1,"purposes":[1]}', "$.purposes["),
    "given by nobody known": (
        b'{"type":"consent","granted":true,"last_seq":1,"given_by":"%b"}' % MARKER.encode(),
        "$.given_by: ",
    ),
    "metadata with a telling key": (
        b'{"type":"open","customer_id":"c","metadata":{"%b":1}}' % MARKER.encode(),
        "$",
    ),
}


class TestBadFrames:
    @pytest.mark.parametrize("name", BAD_FRAMES)
    async def test_a_bad_frame_is_told_by_its_path_without_its_value_and_the_dialog_goes_on(
        self, live: Live, http: ClientSession, name: str
    ) -> None:
        frame, path = BAD_FRAMES[name]
        await live.open()
        await live.say("first")

        await live.send_raw(frame)

        error = await live.receive(Error)
        assert error.code == "frame"
        assert error.detail.startswith(path)
        assert MARKER not in error.detail
        await live.grant()
        assert await texts(http) == ["first"]

    async def test_after_twenty_bad_frames_the_socket_is_closed(self, live: Live, service: Served) -> None:
        await live.open()
        for _ in range(19):
            await live.send_raw(b"{}")
        for _ in range(19):
            assert (await live.receive(Error)).code == "frame"
        await live.say("nineteen are borne")

        await live.send_raw(b"{}")

        frames, code = await live.until_closed()
        assert [type(frame) for frame in frames] == [Error]
        assert code == 4500
        await expect_nothing_left(service)

    async def test_a_binary_frame_in_the_json_subprotocol_is_a_bad_frame(self, live: Live) -> None:
        await live.open()

        await live.socket.send_bytes(b"\xff\xfe not UTF-8, and need not be")

        assert (await live.receive(Error)).code == "frame"
        await live.say("and it goes on")

    async def test_a_text_frame_in_the_msgpack_subprotocol_is_a_bad_frame(self, dial: Callable[..., Any]) -> None:
        live = await dial(protocols=["consentful.v1.msgpack"])
        await live.open()

        await live.socket.send_str('{"type":"message","seq":1,"text":"Hi"}')

        assert (await live.receive(Error)).code == "frame"
        await live.say("and it goes on")

    @pytest.mark.parametrize("subprotocol", ["consentful.v1.json", "consentful.v1.msgpack"])
    async def test_a_text_frame_that_is_not_utf8_closes_1007(
        self, dial: Callable[..., Any], service: Served, subprotocol: str
    ) -> None:
        live = await dial(protocols=[subprotocol])
        await live.open()

        await live.socket.send_frame(b'{"type":"message","seq":1,"text":"\xff"}', WSMsgType.TEXT)

        assert await live.closed() == 1007
        await expect_nothing_left(service)

    async def test_a_string_that_is_not_utf8_in_msgpack_is_a_bad_frame(self, dial: Callable[..., Any]) -> None:
        live = await dial(protocols=["consentful.v1.msgpack"])
        await live.open()

        await live.send_raw(live.codec.encode(Message(1, "Hi")).replace(b"Hi", b"\xff\xff"))

        assert (await live.receive(Error)).code == "frame"

    async def test_a_frame_over_the_limit_closes_1009(self, live: Live, http: ClientSession, service: Served) -> None:
        opened = await live.open()

        await live.send_raw(b" " * (opened.limits.max_frame_bytes + 1))

        assert await live.closed() == 1009
        assert await texts(http) == []
        await expect_nothing_left(service)


class TestMemory:
    BUDGET = 1024 * 1024

    @pytest.mark.parametrize("settings", [{"memory": BUDGET}])
    async def test_a_message_that_does_not_fit_closes_4005_and_drops_the_dialog(
        self, dial: Callable[..., Any], service: Served
    ) -> None:
        live, other = await dial(), await dial()
        await live.open(dialog_id="d-1")
        await other.open(dialog_id="d-2")
        for _ in range(31):
            await live.say("x" * 32_000)

        await other.send(Message(1, "x" * 32_000))

        error = await other.receive(Error)
        assert (error.code, error.retry, error.retry_after_s) == ("overloaded", True, 5)
        assert await other.closed() == 4005
        await live.grant()
        await live.closed()
        await expect_nothing_left(service)

    @pytest.mark.parametrize("settings", [{"memory": BUDGET}])
    async def test_what_ends_makes_room_again(self, dial: Callable[..., Any], service: Served) -> None:
        for _ in range(40):
            live = await dial()
            await live.open()
            await live.say("x" * 32_000)
            await live.decline()
            await live.closed()

        await expect_nothing_left(service)


async def test_msgpack_carries_the_same_frames(dial: Callable[..., Any], http: ClientSession) -> None:
    live = await dial(protocols=["consentful.v1.msgpack"])
    await live.open(dialog_id="d-1", metadata={"k": "v"})
    await live.say("one")

    stored = await live.grant()

    assert stored == await (await replay(dial, "one")).grant()
    assert await texts(http) == ["one"]


@pytest.mark.parametrize("settings", [{"compress": True}])
async def test_compressed_frames_are_understood(service: Served, http: ClientSession) -> None:
    async with http.ws_connect("/v1/dialogs/live", compress=15) as line:
        assert line.compress
        await line.send_str('{"type":"open","customer_id":"c-1"}')
        assert (await line.receive_json())["type"] == "opened"
        await line.send_str('{"type":"message","seq":1,"text":"%s"}' % ("Hi " * 1000))
        assert await line.receive_json() == {"type": "ack", "seq": 1}
        await line.send_str('{"type":"consent","granted":true,"last_seq":1}')
        assert (await line.receive_json())["type"] == "stored"

    assert len(await messages(http)) == 1


async def test_the_example_of_the_contract(http: ClientSession) -> None:
    async with http.ws_connect("/v1/dialogs/live") as line:
        await line.send_str('{"type":"open","customer_id":"c-42","language":"EN"}')
        await line.send_str('{"type":"message","seq":1,"text":"Hi"}')
        await line.send_str('{"type":"consent","granted":true,"last_seq":1}')

        kinds = [message.json()["type"] async for message in line]

    assert kinds == ["opened", "ack", "stored"]


async def replay(
    dial: Callable[..., Any], *said: str, customer_id: str = "c-1", token: str | None = None, **fields: str
) -> Live:
    """Return a new connection in which the dialog `d-1` was said from the beginning."""
    live: Live = await dial(token=token)
    await live.open(customer_id, **({"dialog_id": "d-1"} | fields))
    for text in said:
        await live.say(text)
    return live


def claims(stored: Stored) -> dict[str, Any]:
    return claims_of(stored.receipt)


async def upgraded(service: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection after its upgrade, without a client around it."""
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(upgrade(service.url))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return reader, writer


def hang_up(live: Live) -> None:
    """Cut the line, without a closing handshake."""
    line = live.socket.get_extra_info("socket")
    assert line is not None
    line.shutdown(socket.SHUT_RDWR)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()
