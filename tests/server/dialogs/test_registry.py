"""Who is live in a process: one dialog for each id, memory that is given back, and a server that stops."""

import asyncio

import pytest

from consentful_server.dialogs import registry as registry_module
from consentful_server.dialogs.registry import DIALOG_BYTES, Registry
from consentful_server.errors import Conflict, Overloaded

ROOM: int = 10**9


class Someone:
    """A holder that notes what is asked of it; it stays present until it is told to leave."""

    def __init__(self, owner: str = "shop", customer_id: str = "c-1", *, decides: bool = False) -> None:
        self.owner = owner
        self.customer_id = customer_id
        self.asked: list[str] = []
        self.deciding = asyncio.Event() if decides else None

    def settle(self) -> None:
        deciding, self.deciding = self.deciding, None
        assert deciding is not None
        deciding.set()

    def tick(self, now: float) -> None:
        self.asked.append(f"tick {now}")

    def supersede(self) -> None:
        assert self.deciding is None
        self.asked.append("supersede")

    def announce_drain(self, in_s: float) -> None:
        self.asked.append(f"drain {in_s}")

    async def close_draining(self) -> None:
        self.asked.append("close")


def has(registry: Registry, dialog_id: str, holder: Someone) -> bool:
    """Whether the holder has the id: then a newcomer supersedes it, and no one else. Gives the id to the newcomer."""
    holder.asked.clear()
    assert registry.claim(dialog_id, Someone(holder.owner, holder.customer_id)) is None
    return holder.asked == ["supersede"]


class TestClaim:
    def test_a_newer_connection_of_the_same_customer_wins(self) -> None:
        registry, older, newer = Registry(ROOM), Someone(), Someone()

        assert registry.claim("d-1", older) is None
        assert registry.claim("d-1", newer) is None

        assert (older.asked, newer.asked) == (["supersede"], [])
        assert has(registry, "d-1", newer)

    def test_one_that_was_superseded_does_not_free_the_newer_ones_id(self) -> None:
        registry, older, newer = Registry(ROOM), Someone(), Someone()
        registry.claim("d-1", older)
        registry.claim("d-1", newer)

        registry.release("d-1", older)

        with pytest.raises(Conflict):
            registry.register("d-1", Someone())

    def test_what_was_released_is_free(self) -> None:
        registry, first, second = Registry(ROOM), Someone(), Someone("another shop")
        registry.claim("d-1", first)

        registry.release("d-1", first)

        registry.register("d-1", second)
        assert has(registry, "d-1", second)
        assert first.asked == []

    @pytest.mark.parametrize("other", [("another shop", "c-1"), ("shop", "c-2")])
    @pytest.mark.parametrize("decides", [False, True])
    async def test_anybody_else_gets_a_conflict_at_once(self, other: tuple[str, str], decides: bool) -> None:
        registry, older = Registry(ROOM), Someone(decides=decides)
        registry.claim("d-1", older)

        with pytest.raises(Conflict):
            registry.claim("d-1", Someone(*other))

        assert older.asked == []
        older.deciding = None
        assert has(registry, "d-1", older)

    @pytest.mark.parametrize("other", [("shop", "c-1"), ("another shop", "c-1"), ("shop", "c-2")])
    def test_registering_takes_nothing_over(self, other: tuple[str, str]) -> None:
        registry, older = Registry(ROOM), Someone()
        registry.register("d-1", older)

        with pytest.raises(Conflict):
            registry.register("d-1", Someone(*other))

        assert older.asked == []
        assert has(registry, "d-1", older)

    async def test_a_takeover_waits_for_a_decision_under_way_and_changes_nothing_before(self) -> None:
        registry, older, newer = Registry(ROOM), Someone(decides=True), Someone()
        registry.claim("d-1", older)

        deciding = registry.claim("d-1", newer)

        assert deciding is not None
        assert deciding is older.deciding
        assert older.asked == []
        older.settle()  # it failed: the older dialog goes on
        assert deciding.is_set()
        assert registry.claim("d-1", newer) is None
        assert older.asked == ["supersede"]
        assert has(registry, "d-1", newer)

    async def test_a_takeover_after_a_decision_that_was_stored_supersedes_nobody(self) -> None:
        registry, older, newer = Registry(ROOM), Someone(decides=True), Someone()
        registry.claim("d-1", older)
        assert registry.claim("d-1", newer) is not None

        registry.release("d-1", older)
        older.settle()

        assert registry.claim("d-1", newer) is None
        assert older.asked == []
        assert has(registry, "d-1", newer)

    async def test_of_many_newcomers_one_has_the_dialog_and_all_others_let_go(self) -> None:
        registry, older = Registry(ROOM), Someone(decides=True)
        registry.claim("d-1", older)
        everyone = [Someone() for _ in range(20)]

        async def claim(newcomer: Someone) -> None:
            while (deciding := registry.claim("d-1", newcomer)) is not None:
                await deciding.wait()

        claiming = [asyncio.ensure_future(claim(newcomer)) for newcomer in everyone]
        await asyncio.sleep(0)
        assert older.asked == []
        older.settle()
        await asyncio.gather(*claiming)

        assert older.asked == ["supersede"]
        (winner,) = [someone for someone in everyone if someone.asked == []]
        assert [someone.asked for someone in everyone].count(["supersede"]) == 19
        assert has(registry, "d-1", winner)


class TestMemory:
    def test_it_is_bounded_and_given_back(self) -> None:
        registry = Registry(DIALOG_BYTES + 100)
        registry.check_room()
        registry.take(DIALOG_BYTES)
        with pytest.raises(Overloaded):
            registry.check_room()
        with pytest.raises(Overloaded):
            registry.take(101)
        registry.take(100)
        assert registry.bytes_used == DIALOG_BYTES + 100

        registry.give_back(DIALOG_BYTES + 100)

        assert registry.bytes_used == 0
        registry.check_room()

    def test_there_is_room_for_a_dialog_to_the_last_byte(self) -> None:
        registry = Registry(DIALOG_BYTES + 100)
        registry.take(100)
        registry.check_room()

        registry.take(1)

        with pytest.raises(Overloaded):
            registry.check_room()


def test_everybody_is_ticked_even_if_some_leave_meanwhile() -> None:
    registry = Registry(ROOM)

    class Leaving(Someone):
        def tick(self, now: float) -> None:
            super().tick(now)
            registry.leave(self)

    everyone = [Leaving() for _ in range(3)]
    for someone in everyone:
        registry.enter(someone)
    assert len(registry) == 3

    registry.tick(7.0)
    registry.tick(8.0)

    assert [someone.asked for someone in everyone] == [["tick 7.0"]] * 3
    assert len(registry) == 0


def test_with_many_dialogs_others_run_in_between() -> None:
    registry = Registry(ROOM)
    everyone = [Someone() for _ in range(1_001)]
    for someone in everyone:
        registry.enter(someone)

    ticked = [sum(someone.asked == ["tick 7.0"] for someone in everyone) for _ in registry.tick_in_turns(7.0)]

    assert ticked == list(range(50, 1_001, 50))
    assert all(someone.asked == ["tick 7.0"] for someone in everyone)


class TestDrain:
    async def test_everybody_is_told_and_those_who_stay_are_closed(self) -> None:
        registry, quick, slow = Registry(ROOM), Someone(), Someone()
        registry.enter(quick)
        registry.enter(slow)

        draining = asyncio.ensure_future(registry.drain(0.05))
        await asyncio.sleep(0)
        assert (quick.asked, slow.asked) == (["drain 0.05"], ["drain 0.05"])
        registry.leave(quick)
        await draining

        assert quick.asked == ["drain 0.05"]
        assert slow.asked == ["drain 0.05", "close"]

    async def test_it_waits_for_everybody_and_is_over_when_the_last_one_leaves(self) -> None:
        registry, first, last = Registry(ROOM), Someone(), Someone()
        registry.enter(first)
        registry.enter(last)

        draining = asyncio.ensure_future(registry.drain(3600))
        await asyncio.sleep(0)
        registry.leave(first)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not draining.done()
        registry.leave(last)

        async with asyncio.timeout(1):
            await draining
        assert last.asked == ["drain 3600"]

    async def test_it_waits_for_those_who_come_after_others_left(self) -> None:
        registry, first, second = Registry(ROOM), Someone(), Someone()
        registry.enter(first)
        registry.leave(first)
        registry.enter(second)

        await registry.drain(0)

        assert second.asked == ["drain 0", "close"]

    async def test_where_nobody_is_there_is_nothing_to_wait_for(self) -> None:
        async with asyncio.timeout(1):
            await Registry(ROOM).drain(3600)

    async def test_those_who_stay_are_closed_a_few_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry_module, "_CLOSED_AT_ONCE", 2)
        registry, events, turn = Registry(ROOM), list[str](), asyncio.sleep

        class Closing(Someone):
            async def close_draining(self) -> None:
                events.append("close")
                await turn(0)
                events.append("closed")

        async def sleep(seconds: float) -> None:
            events.append(f"wait {seconds}")

        monkeypatch.setattr(asyncio, "sleep", sleep)
        for _ in range(5):
            registry.enter(Closing())

        await registry.drain(0)

        two, pause = ["close", "close", "closed", "closed"], ["wait 0.5"]
        assert events == [*two, *pause, *two, *pause, "close", "closed"]
