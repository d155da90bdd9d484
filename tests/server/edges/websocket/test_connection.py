"""A connection's states and races, without a socket: frames are handed to it, and what it sends is looked at."""

import asyncio
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from aiohttp import WSMsgType

from consentful import wire
from consentful.wire import Ack, Closing, Consent, Discarded, Error, Message, Open, Opened, Stored
from consentful_server.auth.access import Principal
from consentful_server.dialogs.registry import Holder
from consentful_server.edges.timeouts import Timeouts
from consentful_server.edges.websocket.charging import Charging
from consentful_server.edges.websocket.connection import Connection, State
from consentful_server.edges.websocket.transport import Frame
from consentful_server.errors import Forbidden, StorageFailed
from consentful_server.telemetry.traces import NOTHING
from consentful_server.testing import FakeClock, Served
from faulty_store import HeldStore, fail_once
from kept import eventually

from .dialogs import GRANT, MARKER, expect_nothing_left
from .fake_transport import FakeSource, FakeTransport

JSON = wire.CODECS[wire.JSON]
NO = Consent(granted=False, last_seq=0)


class Client:
    """One client, and the server's side of its connection."""

    def __init__(self, service: Served, owner: str = "shop") -> None:
        self._service = service.service
        self.transport = FakeTransport()
        self.source = FakeSource()
        charging = Charging(service.service, self.source, (f"credential {owner}",))
        self.connection = Connection(
            service.service,
            self.transport,
            JSON,
            Principal(owner, frozenset(["dialogs:write"])),
            charging,
            Timeouts(10),
            "r-1",
            NOTHING,
        )

    @property
    def state(self) -> State:
        return self.connection.state

    def send(self, *frames: wire.FromClient) -> None:
        for frame in frames:
            self.send_bytes(JSON.encode(frame))

    def send_bytes(self, payload: bytes, opcode: WSMsgType = WSMsgType.TEXT) -> None:
        assert not self.transport.is_paused, "a frame is handed over while frames are kept back"
        self.source.received += len(payload) + 6
        assert self.connection.receive([(opcode, payload, None)]) == 1

    def open(self, *texts: str, customer_id: str = "c-1", dialog_id: str = "d-1") -> None:
        """Connect, open the dialog and say this."""
        self.connection.begin()
        self.send(Open(customer_id, dialog_id), *(Message(seq, text) for seq, text in enumerate(texts, 1)))

    async def answer_close(self) -> None:
        """Answer the close frame, or be gone: whatever is under way is done first."""
        self.connection.lost(0)
        await self._service.tasks.finish()


@pytest.fixture
async def client(service: Served) -> Client:
    return Client(service)


@pytest.fixture
async def newer(service: Served) -> Client:
    return Client(service)


@pytest.fixture
async def store(service: Served, monkeypatch: pytest.MonkeyPatch) -> HeldStore:
    return HeldStore(service, monkeypatch)


async def settle(service: Served) -> None:
    await service.service.tasks.finish()


async def stored(service: Served, dialog_id: str = "d-1") -> bool:
    return dialog_id in await service.service.store.dialogs.still_stored([dialog_id])


def frames_of(random: Random) -> list[Frame]:
    """Return what a client may send to an open dialog: mostly messages in order, and what is refused in between."""
    frames: list[Frame] = []
    seq = 0
    for _ in range(30):
        chance = random.random()
        if chance < 0.6:
            seq += 1
        frame = (
            JSON.encode(Message(seq, f"text {seq}"))  # a replay, if the number is not a new one
            if chance < 0.75
            else JSON.encode(Message(seq + 2, "a gap"))
            if chance < 0.8
            else JSON.encode(Message(seq + 1, "x" * 40_000))
            if chance < 0.85
            else JSON.encode(Message(max(1, seq), "another text"))
            if chance < 0.9
            else b"no frame at all"
        )
        kind = WSMsgType.PING if chance > 0.97 else WSMsgType.BINARY if chance > 0.95 else WSMsgType.TEXT
        frames.append((kind, frame, None))
    return frames


class TestRuns:
    """Messages that arrive together are judged as if each had come alone."""

    @pytest.mark.parametrize("seed", range(25))
    async def test_however_frames_arrive_the_answers_are_the_same(
        self, client: Client, newer: Client, seed: int
    ) -> None:
        frames = frames_of(Random(seed))
        client.open(dialog_id="d-1")
        newer.open(dialog_id="d-2")

        for frame in frames:
            assert client.connection.receive([frame]) == 1
        random = Random(seed)
        while frames:
            together = frames[: random.randint(1, 20)]
            del frames[: newer.connection.receive(together)]
        await asyncio.sleep(0)

        assert said(newer) == said(client)

    async def test_a_run_ends_before_the_first_frame_that_is_no_message(self, client: Client) -> None:
        client.open()
        ping: Frame = (WSMsgType.PING, b"", None)
        one, two, grant = (
            (WSMsgType.TEXT, JSON.encode(frame), None)
            for frame in (Message(1, "one"), Message(2, "two"), Consent(granted=True, last_seq=2))
        )

        assert client.connection.receive([one, two, ping]) == 2
        assert client.connection.receive([ping, grant]) == 1
        assert client.connection.receive([grant, one]) == 1
        assert client.state is State.DECIDING

    async def test_a_run_for_which_there_is_no_memory_ends_the_dialog(self, service: Served, client: Client) -> None:
        client.open()
        service.service.registry.take(service.service.registry.limit - service.service.registry.bytes_used - 1000)
        frames: list[Frame] = [(WSMsgType.TEXT, JSON.encode(Message(seq, "x" * 300)), None) for seq in range(1, 4)]

        client.connection.receive(frames)

        assert client.transport.kinds == ["Opened", "Error"]
        assert client.transport.codes == ["overloaded"]
        assert client.state is State.CLOSING


def said(client: Client) -> tuple[list[wire.FromServer], int, tuple[int, str] | None]:
    """Return what the client was told, how many messages were acked, and how the connection was closed."""
    sent = client.transport.sent
    acked = max((frame.seq for frame in sent if isinstance(frame, Ack)), default=0)
    return [it for it in sent if not isinstance(it, (Ack, Opened))], acked, client.transport.closed


class TestOrder:
    @pytest.mark.parametrize("frame", [Message(1, "Hi"), GRANT, NO], ids=lambda frame: type(frame).__name__)
    async def test_before_open_nothing_else_is_taken(self, client: Client, frame: wire.FromClient) -> None:
        client.connection.begin()

        client.send(frame)

        assert client.transport.codes == ["order"]
        assert client.state is State.OPENING

    async def test_a_second_open_is_not_taken(self, client: Client) -> None:
        client.open("one")

        client.send(Open("c-2", "d-2"))

        assert client.transport.kinds == ["Opened", "Ack", "Error"]
        assert client.transport.codes == ["order"]
        assert client.state is State.HOLDING

    @pytest.mark.parametrize("frame", [Open("c-1"), Message(1, "Hi"), GRANT, NO], ids=lambda it: type(it).__name__)
    async def test_once_it_closes_every_frame_is_ignored(self, client: Client, frame: wire.FromClient) -> None:
        client.open()
        client.connection.warn("idle", 30)
        client.connection.ended("idle")

        client.send(frame)
        client.send_bytes(b"no frame at all")
        client.send_bytes(b"", WSMsgType.PING)

        assert client.transport.kinds == ["Opened", "Closing"]
        assert client.transport.pongs == []

    async def test_the_whole_way(self, service: Served, client: Client) -> None:
        client.open("one", "two")
        await asyncio.sleep(0)
        client.send(Consent(granted=True, last_seq=2))
        assert client.state is State.DECIDING
        await settle(service)

        opened, ack, answer = client.transport.sent
        assert isinstance(opened, Opened)
        assert ack == Ack(2)
        assert isinstance(answer, Stored)
        assert client.transport.closed == (1000, "stored")
        assert len(service.service.registry) == 1, "it closes once the client has answered"
        await client.answer_close()
        await expect_nothing_left(service)
        assert await stored(service)

    async def test_an_ack_that_is_due_comes_before_the_outcome(self, service: Served, client: Client) -> None:
        client.open("one")
        client.send(Consent(granted=False, last_seq=1))
        await settle(service)

        assert client.transport.sent[1:] == [Ack(1), Discarded("d-1", 1)]
        assert client.transport.closed == (1000, "discarded")

    async def test_an_ack_that_is_due_comes_before_a_refusal(self, client: Client) -> None:
        client.open("one")

        client.send(Message(3, "three"), Message(2, "two"))
        client.send_bytes(b"{}")

        assert client.transport.kinds == ["Opened", "Ack", "Error", "Ack", "Error"]


class TestDeciding:
    async def test_frames_are_kept_back_until_the_outcome_is_known(
        self, service: Served, client: Client, store: HeldStore
    ) -> None:
        client.open("one")

        client.send(GRANT)
        assert client.transport.is_paused
        await store.reached.wait()
        assert client.transport.is_paused
        store.let_go.set()
        await settle(service)

        assert not client.transport.is_paused, "the client's close frame is to be read"

    async def test_after_a_failure_frames_are_taken_up_again(
        self, service: Served, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.open("one")
        fail_once(service, monkeypatch, StorageFailed())
        client.send(GRANT)
        await settle(service)
        assert client.transport.codes == ["storage"]
        assert client.state is State.HOLDING

        client.send(Message(2, "two"), Consent(granted=True, last_seq=2))
        await settle(service)

        assert client.transport.closed == (1000, "stored")

    async def test_a_connection_that_is_lost_does_not_undo_it(
        self, service: Served, client: Client, store: HeldStore
    ) -> None:
        client.open("one")
        client.send(GRANT)
        await store.reached.wait()

        client.connection.lost(0)
        assert len(service.service.registry) == 1, "a stopping server waits for it"
        store.let_go.set()
        await settle(service)

        assert await stored(service)
        await expect_nothing_left(service)
        assert service.service.metrics.registry.get_sample_value(
            "consentful_dialogs_ended_total", {"outcome": "stored"}
        )

    async def test_a_connection_that_is_lost_holds_nothing_after_it_failed(
        self, service: Served, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.open("one")
        fail_once(service, monkeypatch, StorageFailed())
        client.send(GRANT)

        client.connection.lost(0)
        await settle(service)

        assert not await stored(service)
        await expect_nothing_left(service)

    async def test_a_client_that_reads_nothing_is_dropped_and_its_decision_is_not(
        self, service: Served, client: Client, store: HeldStore, clock: FakeClock
    ) -> None:
        client.open("one")
        client.send(GRANT)
        await store.reached.wait()

        client.transport.unread = 1000
        for _ in range(2):
            clock.advance(31)
            service.service.registry.tick(clock.monotonic())
        assert client.transport.is_aborted
        assert client.transport.closed is None
        client.connection.lost(0)
        store.let_go.set()
        await settle(service)

        assert await stored(service)
        await expect_nothing_left(service)

    @pytest.mark.parametrize("settings", [{"bytes_per_second": 1000}])
    async def test_a_client_that_sends_too_much_is_cut_off_after_it(
        self, service: Served, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.open("one")
        fail_once(service, monkeypatch, StorageFailed())
        client.send(GRANT)

        client.source.received += 100_000
        client.connection.charge()
        service.service.registry.tick(0)
        assert not client.source.has_stopped_reading
        await settle(service)
        assert client.transport.codes == ["storage"]
        client.source.received += 1
        service.service.registry.tick(0)

        assert client.transport.codes == ["storage", "too_often"]
        assert client.transport.closed == (4005, "too_often")
        assert client.source.has_stopped_reading

    async def test_a_stopping_server_warns_and_waits(self, service: Served, client: Client, store: HeldStore) -> None:
        client.open("one")
        client.send(GRANT)
        await store.reached.wait()

        stopping = asyncio.ensure_future(service.service.registry.drain(0))
        await eventually(lambda: Closing("draining", 0) in client.transport.sent)
        assert client.transport.closed is None
        store.let_go.set()
        await eventually(lambda: client.transport.closed is not None)
        assert client.transport.closed == (1000, "stored")
        assert not stopping.done()
        client.connection.lost(0)
        await stopping

        assert await stored(service)

    async def test_an_internal_error_drops_the_dialog(
        self, service: Served, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.open("one")
        fail_once(service, monkeypatch, RuntimeError(MARKER))
        client.send(GRANT)
        await settle(service)

        assert client.transport.closed == (1011, "internal")
        assert service.service.registry.bytes_used == 0
        await client.answer_close()
        await expect_nothing_left(service)


class TestClaiming:
    async def test_the_newer_one_waits_for_the_older_ones_decision_and_then_has_the_dialog(
        self, service: Served, client: Client, newer: Client, store: HeldStore
    ) -> None:
        client.open("one")
        client.send(GRANT)
        await store.reached.wait()

        newer.open()
        assert (newer.state, newer.transport.is_paused) == (State.CLAIMING, True)
        assert newer.transport.sent == []
        store.let_go.set()
        await settle(service)

        assert client.transport.closed == (1000, "stored")
        assert (newer.state, newer.transport.is_paused) == (State.HOLDING, False)
        assert newer.transport.kinds == ["Opened"]

    async def test_after_a_decision_that_failed_the_older_one_is_closed(
        self, service: Served, client: Client, newer: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.open("one")
        fail_once(service, monkeypatch, StorageFailed())
        client.send(GRANT)

        newer.open()
        await settle(service)

        assert client.transport.codes == ["storage"]
        assert client.transport.closed == (4511, "superseded")
        assert newer.state is State.HOLDING

    async def test_one_whose_time_runs_out_meanwhile_takes_nothing(
        self, service: Served, client: Client, newer: Client, store: HeldStore, clock: FakeClock
    ) -> None:
        client.open("one")
        client.send(GRANT)
        await store.reached.wait()
        newer.open()

        clock.advance(11)
        service.service.registry.tick(clock.monotonic())
        assert newer.transport.closed == (4512, "open")
        assert not newer.transport.is_paused, "its answer to the close frame is to be read"
        store.let_go.set()
        await settle(service)

        assert newer.transport.sent == []
        opened = service.service.metrics.registry.get_sample_value("consentful_dialogs_opened_total")
        assert opened == 1
        newest = Client(service)
        newest.open()
        assert newest.state is State.HOLDING

    async def test_one_that_is_lost_meanwhile_takes_nothing(
        self, service: Served, client: Client, newer: Client, store: HeldStore
    ) -> None:
        client.open("one")
        client.send(GRANT)
        await store.reached.wait()
        newer.open()

        newer.connection.lost(0)
        assert len(service.service.registry) == 1
        store.let_go.set()
        await settle(service)
        await client.answer_close()

        await expect_nothing_left(service)

    async def test_one_that_finds_another_customer_there_afterwards_is_refused(
        self, service: Served, client: Client, newer: Client, store: HeldStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.open("one")
        client.send(GRANT)
        await store.reached.wait()
        newer.open()
        other = Client(service)
        release = service.service.registry.release

        def releasing(dialog_id: str, holder: Holder) -> None:
            monkeypatch.undo()
            release(dialog_id, holder)
            other.open(customer_id="c-2")

        store.let_go.set()
        monkeypatch.setattr(service.service.registry, "release", releasing)
        store.let_go.set()
        await settle(service)

        assert newer.transport.codes == ["conflict"]
        assert newer.transport.closed == (4509, "conflict")
        assert other.state is State.HOLDING


class TestEnding:
    @pytest.mark.parametrize(
        ("outcome", "closed"),
        [
            ("open", (4512, "open")),
            ("idle", (4508, "idle")),
            ("duration", (4513, "duration")),
            ("superseded", (4511, "superseded")),
            ("draining", (4001, "draining")),
            ("slow", (4002, "slow")),
            ("conflict", (4509, "conflict")),
            ("dropped", None),
        ],
    )
    async def test_every_outcome_has_its_close_code(
        self, client: Client, outcome: str, closed: tuple[int, str] | None
    ) -> None:
        client.open("one")

        client.connection.ended(outcome)

        assert client.transport.closed == closed
        client.connection.lost(0)

    async def test_a_frame_that_is_read_after_a_takeover_is_ignored(self, client: Client, newer: Client) -> None:
        client.open("one")
        newer.open()

        client.send(Message(2, "two"), Consent(granted=True, last_seq=2))

        assert client.transport.closed == (4511, "superseded")
        assert client.state is State.CLOSING

    async def test_a_connection_that_is_lost_leaves_nothing(self, service: Served, client: Client) -> None:
        client.open("one")

        client.connection.lost(0)

        await expect_nothing_left(service)
        assert client.transport.closed is None

    async def test_who_waits_for_the_close_goes_on_once_the_connection_is_lost(self, client: Client) -> None:
        client.open("one")
        client.connection.ended("draining")
        waiting = asyncio.ensure_future(client.connection.closed())

        client.connection.lost(0)

        async with asyncio.timeout(5):  # the timer of the close handshake would end the wait after 10 s
            await waiting

    async def test_what_never_opened_leaves_nothing_either(self, service: Served, client: Client) -> None:
        client.connection.begin()
        assert len(service.service.registry) == 1

        client.connection.lost(0)

        await expect_nothing_left(service)

    async def test_a_client_that_reads_nothing_is_told_so_and_dropped(
        self, service: Served, client: Client, clock: FakeClock
    ) -> None:
        client.open("one")
        client.transport.unread = 1000

        for _ in range(2):
            clock.advance(31)
            service.service.registry.tick(clock.monotonic())

        assert client.transport.closed == (4002, "slow")
        assert service.service.registry.bytes_used == 0

    async def test_a_silent_client_is_pinged_and_then_given_up(
        self, service: Served, client: Client, clock: FakeClock
    ) -> None:
        client.open("one")
        service.service.registry.tick(clock.monotonic())
        clock.advance(25)
        service.service.registry.tick(clock.monotonic())
        assert (client.transport.pings, client.transport.is_aborted) == (1, False)

        clock.advance(13)
        service.service.registry.tick(clock.monotonic())

        assert client.transport.is_aborted

    async def test_a_client_that_answers_the_ping_is_not(
        self, service: Served, client: Client, clock: FakeClock
    ) -> None:
        client.open("one")
        for _ in range(4):
            clock.advance(25)
            service.service.registry.tick(clock.monotonic())
            client.send_bytes(b"", WSMsgType.PONG)

        assert not client.transport.is_aborted

    async def test_twenty_frames_that_are_none_or_out_of_order_are_borne_but_one(self, client: Client) -> None:
        client.open("one")
        for _ in range(7):
            client.send_bytes(b"{}")
            client.send(Open("c-1"))
        for _ in range(5):
            client.send_bytes(b"{}", WSMsgType.BINARY)
        assert client.transport.closed is None

        client.send(Message(2, "x", language="notalanguage"))

        assert len(client.transport.codes) == 20
        assert client.transport.closed == (4500, "too many bad frames")

    async def test_refusals_that_the_rules_foresee_are_not_among_them(self, client: Client) -> None:
        client.open("one")

        for _ in range(30):
            client.send(Message(9, "gap"), Consent(granted=True, last_seq=9))

        assert client.transport.closed is None

    async def test_a_text_that_is_not_utf8_closes(self, service: Served, client: Client) -> None:
        client.open("one")

        client.send_bytes(b'{"type":"\xff"}')

        assert client.transport.closed == (1007, "text is not UTF-8")
        assert service.service.registry.bytes_used == 0

    async def test_an_internal_error_while_a_frame_is_taken_up_drops_the_dialog(
        self, service: Served, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        client.open("one")

        def fails(size: int) -> None:
            raise ZeroDivisionError(f"{MARKER} {size}")

        monkeypatch.setattr(service.service.registry, "take", fails)

        client.send(Message(2, MARKER))

        assert client.transport.closed == (1011, "internal")
        assert service.service.registry.bytes_used == 0
        assert "ZeroDivisionError" in str([vars(record) for record in caplog.records])
        assert MARKER not in str([vars(record) for record in caplog.records])


class TestTurningAway:
    @pytest.mark.parametrize(
        ("refusal", "told"),
        [(Forbidden("the scope dialogs:write"), (4503, "forbidden")), (StorageFailed(), (1011, "storage"))],
        ids=["forbidden", "storage"],
    )
    async def test_whoever_is_not_let_in_is_told_why_and_holds_nothing(
        self, service: Served, client: Client, refusal: Forbidden | StorageFailed, told: tuple[int, str]
    ) -> None:
        client.connection.turn_away(refusal)

        client.send(Open("c-1"))

        assert (client.transport.codes, client.transport.closed) == ([refusal.code], told)
        await expect_nothing_left(service)
        client.connection.lost(0)

    @pytest.mark.parametrize("settings", [{"memory": 100_000, "max_dialog_bytes": 50_000}])
    async def test_where_there_is_no_memory_it_is_told_to_come_back(self, service: Served, client: Client) -> None:
        service.service.registry.take(99_000)

        client.connection.begin()

        assert (client.transport.codes, client.transport.closed) == (["overloaded"], (4005, "overloaded"))
        assert len(service.service.registry) == 1, "a stopping server waits until it is closed"
        client.connection.lost(0)
        assert (len(service.service.registry), service.service.registry.bytes_used) == (0, 99_000)


class TestCharging:
    async def test_pings_are_answered_and_pongs_are_not(self, client: Client) -> None:
        client.open()

        client.send_bytes(b"are you there?", WSMsgType.PING)
        client.send_bytes(b"unasked", WSMsgType.PONG)

        assert client.transport.pongs == [b"are you there?"]
        assert client.transport.codes == []

    async def test_no_kind_of_frame_counts_as_memory_once_it_was_taken_up(
        self, service: Served, client: Client
    ) -> None:
        client.open()
        before = service.service.registry.bytes_used

        for opcode in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG):
            for _ in range(4):
                client.send_bytes(b"x" * 100_000, opcode)
            client.connection.charge(4)

        assert service.service.registry.bytes_used == before

    @pytest.mark.parametrize("settings", [{"bytes_per_second": 1000}])
    async def test_who_sends_too_much_is_told_and_read_no_more(self, service: Served, client: Client) -> None:
        client.open("one")

        client.source.received += 1_000_000
        client.connection.charge()
        client.connection.charge()

        assert client.transport.kinds == ["Opened", "Error"]
        assert client.transport.closed == (4005, "too_often")
        assert client.source.has_stopped_reading
        client.connection.lost(0)
        await expect_nothing_left(service)

    async def test_it_has_a_second_to_read_why(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("consentful_server.edges.websocket.connection._CUT_OFF_WITHIN_S", 0)
        client.open()
        for _ in range(101):
            client.send_bytes(b"", WSMsgType.PING)

        assert client.transport.codes == ["too_often"]
        async with asyncio.timeout(1):
            await client.connection.closed()
        assert client.transport.is_aborted


async def test_what_is_read_in_one_turn_is_received_at_one_time(
    service: Served, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(service.service.clock, "now", lambda: asked.append(1) or FakeClock().now())
    client.open()
    asked.clear()

    client.send(*(Message(seq, "x") for seq in range(1, 101)))

    assert len(asked) == 1


async def test_no_repr_shows_words(client: Client) -> None:
    client.open(MARKER)

    assert repr(client.connection) == "Connection(HOLDING, HeldDialog(Dialog(id='d-1', messages=1)))"


async def test_what_is_wrong_with_a_message_names_its_number(client: Client) -> None:
    client.open("one")

    client.send(Message(7, "seven"), Message(2, "two", sent_at=datetime(9999, 1, 1, tzinfo=UTC)))

    errors = [frame for frame in client.transport.sent if isinstance(frame, Error)]
    assert [(error.code, error.seq) for error in errors] == [("gap", 7), ("frame", 2)]
