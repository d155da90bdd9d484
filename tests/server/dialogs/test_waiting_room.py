"""The waiting room by itself: what comes while a decision is under way, and what it remembers."""

import asyncio

import pytest

from consentful_server.auth.access import Principal
from consentful_server.dialogs import waiting_room
from consentful_server.dialogs.pushed import Decided, Details, Said
from consentful_server.dialogs.waiting_room import WaitingRoom
from consentful_server.errors import Conflict, Lost, NotFound, Overloaded, StorageFailed
from consentful_server.testing import FakeClock, Served
from faulty_store import HeldStore, fail_once

SHOP = Principal("shop", frozenset(["dialogs:write"]))


@pytest.fixture
async def room(service: Served) -> WaitingRoom:
    return WaitingRoom(service.service)


async def push(room: WaitingRoom, text: str = "Hi", dialog_id: str = "d-1", customer_id: str = "c-1") -> None:
    await room.push(customer_id, dialog_id, Said(text), SHOP)


def brief(decided: Decided) -> Decided:
    """Return it without the receipt and the code, which are never the same."""
    return Decided(decided.dialog_id, decided.consent, decided.messages)


def metric(service: Served, outcome: str) -> float:
    ended = service.service.metrics.registry.get_sample_value("consentful_dialogs_ended_total", {"outcome": outcome})
    return ended or 0.0


async def turns() -> None:
    """Let everything run that does not have to wait."""
    for _ in range(5):
        await asyncio.sleep(0)


class TestWhileADecisionIsUnderWay:
    async def test_a_message_waits_and_is_refused_once_the_dialog_is_stored(
        self, service: Served, room: WaitingRoom, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = HeldStore(service, monkeypatch)
        await push(room)
        deciding = asyncio.ensure_future(room.decide("d-1", True, SHOP))
        await store.reached.wait()

        late = asyncio.ensure_future(push(room, "late"))
        await turns()
        assert not late.done()
        store.let_go.set()

        assert brief(await deciding) == Decided("d-1", True, 1)
        with pytest.raises(Conflict):
            await late

    async def test_a_message_is_held_once_the_decision_has_failed(
        self, service: Served, room: WaitingRoom, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await push(room)
        fail_once(service, monkeypatch, StorageFailed())
        deciding = asyncio.ensure_future(room.decide("d-1", True, SHOP))
        await asyncio.sleep(0)

        late = asyncio.ensure_future(push(room, "late"))
        async with asyncio.timeout(5):
            with pytest.raises(StorageFailed):
                await deciding
            await late

        assert brief(await room.decide("d-1", True, SHOP)) == Decided("d-1", True, 2)

    async def test_another_decision_waits_for_the_first(
        self, service: Served, room: WaitingRoom, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = HeldStore(service, monkeypatch)
        await push(room)
        yes = asyncio.ensure_future(room.decide("d-1", True, SHOP))
        await store.reached.wait()

        no = asyncio.ensure_future(room.decide("d-1", False, SHOP))
        await turns()
        assert not no.done()
        store.let_go.set()

        assert (brief(await yes), await no) == (Decided("d-1", True, 1), Decided("d-1", False, 1))
        assert await service.service.store.dialogs.still_stored(["d-1"]) == []

    async def test_time_does_not_run_out(
        self, service: Served, room: WaitingRoom, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = HeldStore(service, monkeypatch)
        await push(room)
        deciding = asyncio.ensure_future(room.decide("d-1", True, SHOP))
        await store.reached.wait()

        clock.advance(100_000)
        service.service.registry.tick(clock.monotonic())
        store.let_go.set()

        assert brief(await deciding) == Decided("d-1", True, 1)
        assert metric(service, "stored") == 1


class TestEndings:
    async def test_one_for_which_there_is_no_memory_leaves_nothing(self, service: Served, room: WaitingRoom) -> None:
        registry = service.service.registry
        registry.take(service.service.settings.memory)

        with pytest.raises(Overloaded):
            await push(room)

        assert (len(registry), registry.bytes_used) == (0, service.service.settings.memory)

    async def test_one_that_is_live_elsewhere_leaves_nothing(self, service: Served, room: WaitingRoom) -> None:
        registry, elsewhere = service.service.registry, WaitingRoom(service.service)
        await push(elsewhere)
        used = registry.bytes_used

        with pytest.raises(Conflict):
            await push(room)

        assert (len(registry), registry.bytes_used) == (1, used)
        assert brief(await elsewhere.decide("d-1", True, SHOP)) == Decided("d-1", True, 1)

    async def test_two_first_messages_at_once_open_one_dialog(self, service: Served, room: WaitingRoom) -> None:
        await asyncio.gather(push(room, "one"), push(room, "two"))

        assert len(service.service.registry) == 1
        assert brief(await room.decide("d-1", True, SHOP)) == Decided("d-1", True, 2)

    async def test_a_first_message_that_is_refused_leaves_nothing(self, service: Served, room: WaitingRoom) -> None:
        with pytest.raises(Exception, match="max_text_bytes"):
            await push(room, "x" * 100_000)

        assert (len(service.service.registry), service.service.registry.bytes_used) == (0, 0)
        assert metric(service, "refused") == 1
        await push(room, customer_id="c-2")

    async def test_a_later_one_that_is_refused_leaves_the_others(self, service: Served, room: WaitingRoom) -> None:
        await push(room)
        with pytest.raises(Exception, match="max_text_bytes"):
            await push(room, "x" * 100_000)

        with pytest.raises(Lost):
            await room.decide("d-1", True, SHOP)
        assert brief(await room.decide("d-1", True, SHOP, Details(1))) == Decided("d-1", True, 1)
        assert metric(service, "refused") == 0

    async def test_where_memory_runs_out_the_whole_dialog_is_dropped(self, service: Served, room: WaitingRoom) -> None:
        registry = service.service.registry
        await push(room)
        rest = service.service.settings.memory - registry.bytes_used
        registry.take(rest)

        with pytest.raises(Overloaded):
            await push(room, "one more")

        assert (len(registry), registry.bytes_used) == (0, rest)
        assert metric(service, "overloaded") == 1
        with pytest.raises(Lost):
            await room.decide("d-1", True, SHOP)

    @pytest.mark.parametrize(("seconds", "outcome"), [(900, "idle"), (86_400, "duration")])
    async def test_a_deadline_ends_it_and_is_named(
        self, service: Served, room: WaitingRoom, clock: FakeClock, seconds: int, outcome: str
    ) -> None:
        await push(room)
        clock.advance(seconds - 1)
        if outcome == "duration":
            await push(room)  # so that it is not idle

        clock.advance(1)
        service.service.registry.tick(clock.monotonic())

        assert metric(service, outcome) == 1
        assert (len(service.service.registry), service.service.registry.bytes_used) == (0, 0)

    async def test_of_declined_dialogs_the_last_few_are_remembered(
        self, room: WaitingRoom, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting_room, "_MAX_REMEMBERED", 2)
        for dialog_id in ("d-1", "d-2", "d-3"):
            await push(room, dialog_id=dialog_id)
            await room.decide(dialog_id, False, SHOP)

        assert brief(await room.decide("d-3", False, SHOP)) == Decided("d-3", False, 1)
        assert brief(await room.decide("d-2", False, SHOP)) == Decided("d-2", False, 1)
        with pytest.raises(NotFound):
            await room.decide("d-1", False, SHOP)
        with pytest.raises(NotFound):
            await room.decide("d-3", True, SHOP)
        with pytest.raises(NotFound):
            await room.decide("d-3", False, Principal("another shop", SHOP.scopes))
