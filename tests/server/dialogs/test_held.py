"""One dialog in memory, without a socket or a store: what it takes, when it ends, and what is left of it."""

import asyncio
import gc
import sys
import weakref
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from consentful import wire
from consentful.wire import Consent, Limits, Message, Open
from consentful_server.consent.notices import Catalogue, Wording
from consentful_server.dialogs.dialog import OVERHEAD_BYTES, Declined, Granted
from consentful_server.dialogs.held import ClosingReason, Edge, HeldDialog
from consentful_server.dialogs.registry import DIALOG_BYTES, Registry
from consentful_server.errors import BadRequest, Conflict, Empty, Gap, Incomplete, Overloaded, Refusal
from consentful_server.telemetry.metrics import Metrics
from consentful_server.testing import FakeClock
from kept import eventually

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORDING = Wording(
    id="n-1",
    language="en",
    text="May we?",
    purposes=("improve",),
    controller="Shop",
    contact="privacy@shop.example",
    retention=timedelta(days=30),
)


class Outcomes:
    """The statistics' count of how dialogs ended."""

    def __init__(self) -> None:
        self.counted: list[tuple[str | None, str]] = []

    def ended(self, bot: str | None, notice: tuple[str, str], outcome: str) -> None:
        self.counted.append((bot, outcome))


@dataclass
class Process:
    """What the dialogs of a process share."""

    registry: Registry = field(default_factory=lambda: Registry(10**6))
    clock: FakeClock = field(default_factory=FakeClock)
    catalogue: Catalogue = field(default_factory=lambda: Catalogue([WORDING]))
    limits: Limits = field(default_factory=lambda: Limits(idle_timeout_s=100, max_duration_s=1000))
    metrics: Metrics = field(default_factory=Metrics)
    statistics: Outcomes = field(default_factory=Outcomes)

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def tick(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.registry.tick(self.clock.monotonic())


class Client(Edge):
    """An edge that notes what it is told; `is_closed` is for whoever waits until its connection is closed."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.is_closed = asyncio.Event()

    def tick(self, now: float) -> None:
        self.told.append("tick")

    def warn(self, reason: ClosingReason, in_s: float) -> None:
        self.told.append((reason, in_s))

    def ended(self, outcome: str) -> None:
        self.told.append(outcome)

    async def closed(self) -> None:
        await self.is_closed.wait()

    def told_but_ticks(self) -> list[object]:
        return [it for it in self.told if it != "tick"]


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def held(process: Process, client: Client) -> HeldDialog:
    """A dialog that is open, with nothing said."""
    return opened(process, client)


def opened(process: Process, client: Client, dialog_id: str = "d-1", owner: str = "shop") -> HeldDialog:
    held = HeldDialog(process, client, owner)
    held.enter()
    assert held.claim(held.prepare(Open("c-1", bot="b-1"), dialog_id)) is None
    return held


def say(held: HeldDialog, *texts: str, now: float = 0.0) -> None:
    assert held.dialog is not None
    for text in texts:
        held.say(Message(len(held.dialog.utterances) + 1, text), NOW, now)


class TestMemory:
    def test_a_dialog_takes_its_place_and_every_message_its_size(self, process: Process, held: HeldDialog) -> None:
        assert len(process.registry) == 1
        assert process.registry.bytes_used == DIALOG_BYTES

        say(held, "four", "ä")

        assert (
            process.registry.bytes_used
            == DIALOG_BYTES + 4 + sys.getsizeof("ä") - sys.getsizeof("") + 2 * OVERHEAD_BYTES
        )

    def test_a_replay_takes_nothing(self, process: Process, held: HeldDialog) -> None:
        say(held, "one")
        used = process.registry.bytes_used

        assert held.say(Message(1, "one"), NOW, 0) == 1

        assert process.registry.bytes_used == used

    def test_how_many_are_held_is_told(self, held: HeldDialog) -> None:
        say(held, "one")

        assert held.say(Message(2, "two"), NOW, 0) == 2
        assert held.say(Message(1, "one"), NOW, 0) == 2

    def test_a_refused_message_takes_nothing(self, process: Process, held: HeldDialog) -> None:
        with pytest.raises(Gap):
            held.say(Message(2, "second"), NOW, 0)

        assert process.registry.bytes_used == DIALOG_BYTES

    def test_where_there_is_no_memory_for_a_dialog_it_is_listed_until_it_is_ended(self, client: Client) -> None:
        process = Process(Registry(DIALOG_BYTES - 1))
        held = HeldDialog(process, client, "shop")

        with pytest.raises(Overloaded):
            held.enter()

        assert len(process.registry) == 1, "its connection is still to be told, and a stopping server waits for that"
        held.end("overloaded")
        held.leave()
        assert (len(process.registry), process.registry.bytes_used) == (0, 0)

    def test_where_there_is_none_for_a_message_all_is_given_back_with_the_ending(self, client: Client) -> None:
        process = Process(Registry(DIALOG_BYTES + 400))
        held = opened(process, client)
        say(held, "x" * 50)

        with pytest.raises(Overloaded):
            say(held, "x" * 50)
        held.end("overloaded")

        assert process.registry.bytes_used == 0

    def test_words_are_dropped_and_given_back_ahead_of_the_ending(self, process: Process, held: HeldDialog) -> None:
        say(held, "one", "two")

        assert held.drop_words() == 2
        assert process.registry.bytes_used == DIALOG_BYTES
        assert held.dialog is not None
        assert held.dialog.utterances == []

        assert held.drop_words() == 2, "the same decision again tells the same"
        held.end("discarded")
        assert process.registry.bytes_used == 0
        assert process.metric("consentful_messages_total") == 2


class TestEnding:
    def test_nothing_is_left_and_everybody_is_told_once(
        self, process: Process, held: HeldDialog, client: Client
    ) -> None:
        say(held, "one", "two")

        held.end("idle")
        held.end("dropped")

        assert held.dialog is None
        assert process.registry.bytes_used == 0
        assert client.told == ["idle"]
        assert process.statistics.counted == [("b-1", "idle")]
        assert process.metric("consentful_dialogs_opened_total") == 1
        assert process.metric("consentful_dialogs_ended_total", outcome="idle") == 1
        assert process.metric("consentful_dialogs_ended_total", outcome="dropped") == 0
        assert process.metric("consentful_messages_total") == 2
        process.registry.register("d-1", HeldDialog(process, Edge(), "another shop"))  # its id is free

    def test_it_stays_listed_until_its_connection_is_closed(self, process: Process, held: HeldDialog) -> None:
        held.end("idle")
        assert len(process.registry) == 1

        held.leave()

        assert len(process.registry) == 0

    def test_one_that_never_opened_counts_as_no_dialog(self, process: Process, client: Client) -> None:
        held = HeldDialog(process, client, "shop")
        held.enter()

        held.end("open")

        assert client.told == ["open"]
        assert process.registry.bytes_used == 0
        assert process.statistics.counted == []
        assert process.metric("consentful_dialogs_ended_total", outcome="open") == 0

    def test_what_the_store_still_reads_is_not_emptied(self, held: HeldDialog) -> None:
        say(held, "one")
        read_elsewhere = held.dialog
        assert read_elsewhere is not None

        held.end("dropped")

        assert [said.text for said in read_elsewhere.utterances] == ["one"]

    def test_its_id_is_not_freed_once_a_newer_connection_has_it(self, process: Process, held: HeldDialog) -> None:
        newer_client = Client()
        newer = opened(process, newer_client)

        held.end("dropped")

        assert newer_client.told == []
        with pytest.raises(Conflict):
            process.registry.register("d-1", HeldDialog(process, Edge(), "shop"))
        assert newer.dialog is not None

    def test_after_it_has_left_nobody_is_told_anything(
        self, process: Process, held: HeldDialog, client: Client
    ) -> None:
        held.end("idle")
        held.leave()

        held.tick(10_000)
        held.announce_drain(30)

        assert client.told == ["idle"]

    def test_after_it_has_left_nothing_refers_to_it(self, process: Process) -> None:
        class Holding(Client):
            held: HeldDialog

        edge = Holding()
        edge.held = opened(process, edge)
        edge.held.end("idle")
        edge.held.leave()
        gone = weakref.ref(edge)

        gc.disable()
        try:
            del edge
            assert gone() is None, "only the cycle collector would free it"
        finally:
            gc.enable()

    def test_no_repr_shows_what_was_said(self, held: HeldDialog) -> None:
        say(held, "secret")

        assert repr(held) == "HeldDialog(Dialog(id='d-1', messages=1))"


class TestDeadlines:
    def test_one_that_is_not_opened_ends_after_10_s(self, process: Process, client: Client) -> None:
        HeldDialog(process, client, "shop").enter()

        process.tick(9.9)
        assert client.told_but_ticks() == []
        process.tick(0.1)

        assert client.told_but_ticks() == ["open"]

    def test_an_idle_one_is_warned_and_ends(self, process: Process, held: HeldDialog, client: Client) -> None:
        process.tick(80)
        assert client.told_but_ticks() == [("idle", 20)]

        process.tick(20)

        assert client.told_but_ticks() == [("idle", 20), "idle"]
        assert held.dialog is None

    def test_a_message_resets_idleness_and_a_replay_does_not(self, process: Process, held: HeldDialog) -> None:
        process.clock.advance(90)
        say(held, "one", now=90)
        process.tick(90)
        assert not held.has_ended

        held.say(Message(1, "one"), NOW, 180)
        process.tick(10)

        assert held.has_ended

    def test_a_decision_that_fails_resets_idleness(self, process: Process, held: HeldDialog) -> None:
        say(held, "one")
        process.clock.advance(99)
        held.decide(Consent(True, 1))
        held.settle()

        process.tick(2)

        assert not held.has_ended

    def test_they_start_when_it_opens(self, process: Process, client: Client) -> None:
        held = HeldDialog(process, client, "shop")
        held.enter()
        process.clock.advance(9)
        held.claim(held.prepare(Open("c-1"), "d-1"))

        process.tick(99)
        assert not held.has_ended
        process.tick(1)

        assert held.has_ended

    def test_its_connection_is_checked_first_and_no_more_once_it_has_ended(
        self, process: Process, client: Client
    ) -> None:
        class Broken(Client):
            def tick(self, now: float) -> None:
                super().tick(now)
                held.end("slow")

        broken = Broken()
        held = opened(process, broken)

        process.tick(80)
        process.tick(80)

        assert broken.told == ["tick", "slow"], "a warning was due as well, and then the deadline"


class TestDeciding:
    def test_a_refused_decision_is_none(self, held: HeldDialog) -> None:
        with pytest.raises(Empty):
            held.decide(Consent(True, 0))
        with pytest.raises(Incomplete):
            held.decide(Consent(True, 1))

        assert held.deciding is None

    def test_a_decision_is_under_way_until_it_is_settled(self, held: HeldDialog) -> None:
        say(held, "one")

        assert isinstance(held.decide(Consent(True, 1)), Granted)
        deciding = held.deciding
        assert deciding is not None
        assert not deciding.is_set()
        held.settle()

        assert deciding.is_set()
        assert held.deciding is None
        assert isinstance(held.decide(Consent(False, 1)), Declined)

    def test_ending_settles_it(self, held: HeldDialog) -> None:
        say(held, "one")
        held.decide(Consent(True, 1))
        deciding = held.deciding
        assert deciding is not None

        held.end("stored")

        assert deciding.is_set()
        assert held.deciding is None

    def test_no_deadline_passes_meanwhile_but_its_connection_is_checked(
        self, process: Process, held: HeldDialog, client: Client
    ) -> None:
        say(held, "one")
        held.decide(Consent(True, 1))

        process.tick(100_000)
        assert client.told == ["tick"]
        held.settle()
        process.tick(1)

        assert client.told_but_ticks() == ["idle"]

    def test_a_newer_connection_waits_for_it(self, process: Process, held: HeldDialog, client: Client) -> None:
        say(held, "one")
        held.decide(Consent(True, 1))
        newer = HeldDialog(process, Client(), "shop")
        newer.enter()
        dialog = newer.prepare(Open("c-1"), "d-1")

        deciding = newer.claim(dialog)

        assert deciding is held.deciding is not None
        assert newer.dialog is None
        assert process.metric("consentful_dialogs_opened_total") == 1
        held.settle()
        assert newer.claim(dialog) is None
        assert (client.told, newer.dialog) == (["superseded"], dialog)


class TestOpening:
    @pytest.mark.parametrize(("owner", "customer"), [("another shop", "c-1"), ("shop", "c-2")])
    def test_somebody_elses_id_is_a_conflict_and_nothing_is_opened(
        self, process: Process, held: HeldDialog, client: Client, owner: str, customer: str
    ) -> None:
        other = HeldDialog(process, Client(), owner)
        other.enter()

        for take in (other.claim, other.register):
            with pytest.raises(Conflict):
                take(other.prepare(Open(customer), "d-1"))

        assert other.dialog is None
        assert client.told == []
        other.end("conflict")
        assert held.dialog is not None
        assert process.metric("consentful_dialogs_opened_total") == 1

    def test_registering_takes_no_id_over_even_the_same_customers(self, process: Process, held: HeldDialog) -> None:
        other = HeldDialog(process, Client(), "shop")

        with pytest.raises(Conflict):
            other.register(other.prepare(Open("c-1"), "d-1"))
        other.register(other.prepare(Open("c-1"), "d-2"))

        assert held.dialog is not None
        assert other.dialog is not None
        assert process.metric("consentful_dialogs_opened_total") == 2

    def test_a_malformed_one_is_refused_before_it_takes_the_id(self, process: Process, held: HeldDialog) -> None:
        other = HeldDialog(process, Client(), "shop")

        with pytest.raises(BadRequest):
            other.prepare(Open("c-1", language="not a tag"), "d-1")

        assert held.dialog is not None


class TestDraining:
    async def test_a_stopping_server_warns_it_and_waits_until_its_connection_is_closed(
        self, process: Process, held: HeldDialog, client: Client
    ) -> None:
        stopping = asyncio.ensure_future(process.registry.drain(0))
        await eventually(lambda: len(client.told) == 2)
        assert client.told == [("draining", 0), "draining"]
        assert process.registry.bytes_used == 0
        for _ in range(5):
            await asyncio.sleep(0)
        assert not stopping.done()

        client.is_closed.set()
        await stopping

        assert held.dialog is None

    async def test_it_waits_for_a_decision_and_for_the_next_one(self, held: HeldDialog, client: Client) -> None:
        say(held, "one")
        held.decide(Consent(True, 1))
        closing = asyncio.ensure_future(held.close_draining())
        await asyncio.sleep(0)

        held.settle()
        held.decide(Consent(True, 1))
        for _ in range(3):
            await asyncio.sleep(0)
        assert client.told == []
        held.end("stored")
        client.is_closed.set()
        await closing

        assert client.told == ["stored"]

    async def test_one_that_has_ended_is_not_warned(self, held: HeldDialog, client: Client) -> None:
        held.end("idle")

        held.announce_drain(30)

        assert client.told == ["idle"]

    async def test_where_nobody_is_connected_it_ends_at_once(self, process: Process) -> None:
        class Nobody(Edge):
            def ended(self, outcome: str) -> None:
                held.leave()

        held = HeldDialog(process, Nobody(), "shop")
        held.enter()
        held.register(held.prepare(Open("c-1"), "d-1"))

        async with asyncio.timeout(1):
            await process.registry.drain(0)

        assert (len(process.registry), process.registry.bytes_used) == (0, 0)


def test_every_refusal_of_a_message_leaves_it_open(held: HeldDialog) -> None:
    for message in (Message(5, "gap"), Message(1, "x" * 10**6), Message(1, "x", language="notalanguage")):
        with pytest.raises(Refusal):
            held.say(message, NOW, 0)

    assert held.dialog is not None
    assert held.say(Message(1, "x"), NOW, 0) == 1
    assert wire.Limits().max_text_bytes < 10**6
