"""Who is live in a process: one holder for each dialog, and memory that is given back."""

import asyncio

import pytest

from consentful_server.dialogs.registry import DIALOG_BYTES, Registry
from consentful_server.errors import Conflict, Overloaded


class Someone:
    """A holder that notes what is asked of it."""

    def __init__(self, owner: str = "shop", customer_id: str = "c-1") -> None:
        self.owner = owner
        self.customer_id = customer_id
        self.asked: list[str] = []
        self.outcome = asyncio.Event()
        self.outcome.set()

    def tick(self, now: float) -> None:
        self.asked.append(f"tick {now}")

    async def settled(self) -> None:
        await self.outcome.wait()

    def supersede(self) -> None:
        self.asked.append("supersede")

    async def drain(self, in_s: float) -> None:
        self.asked.append(f"drain {in_s}")

    async def close_draining(self) -> None:
        self.asked.append("close")


async def test_a_newer_connection_of_the_same_customer_wins() -> None:
    registry, older, newer = Registry(10**9), Someone(), Someone()
    await registry.claim("d-1", older)

    await registry.claim("d-1", newer)
    registry.release("d-1", older)

    assert older.asked == ["supersede"]
    assert registry.holder_of("d-1") is newer


@pytest.mark.parametrize("other", [("another shop", "c-1"), ("shop", "c-2")])
async def test_anybody_else_gets_a_conflict(other: tuple[str, str]) -> None:
    registry, older = Registry(10**9), Someone()
    await registry.claim("d-1", older)

    with pytest.raises(Conflict):
        await registry.claim("d-1", Someone(*other))
    with pytest.raises(Conflict):
        registry.register("d-1", Someone(*other))

    assert registry.holder_of("d-1") is older
    assert older.asked == []


async def test_a_takeover_waits_for_a_decision_under_way() -> None:
    registry, older, newer = Registry(10**9), Someone(), Someone()
    older.outcome.clear()
    await registry.claim("d-1", older)

    claiming = asyncio.ensure_future(registry.claim("d-1", newer))
    await asyncio.sleep(0)
    assert registry.holder_of("d-1") is older
    registry.release("d-1", older)  # stored: it lets go by itself
    older.outcome.set()
    await claiming

    assert registry.holder_of("d-1") is newer


async def test_of_many_newcomers_one_has_the_dialog_and_all_others_let_go() -> None:
    registry = Registry(10**9)
    everyone = [Someone() for _ in range(20)]

    await asyncio.gather(*(registry.claim("d-1", someone) for someone in everyone))

    assert [someone.asked for someone in everyone].count(["supersede"]) == 19
    holder = registry.holder_of("d-1")
    assert isinstance(holder, Someone)
    assert holder.asked == []


def test_memory_is_bounded_and_given_back() -> None:
    registry = Registry(DIALOG_BYTES + 100)
    registry.take(DIALOG_BYTES)
    with pytest.raises(Overloaded):
        registry.check_room()
    with pytest.raises(Overloaded):
        registry.take(101)
    registry.take(100)

    registry.give_back(DIALOG_BYTES + 100)

    assert registry.bytes_used == 0
    registry.check_room()


async def test_draining_tells_everybody_and_lets_go_of_those_who_stay() -> None:
    registry, quick, slow = Registry(10**9), Someone(), Someone()
    registry.enter(quick)
    registry.enter(slow)

    draining = asyncio.ensure_future(registry.drain(0.05))
    await asyncio.sleep(0)
    registry.leave(quick)
    await draining

    assert quick.asked == ["drain 0.05"]
    assert slow.asked == ["drain 0.05", "close"]


async def test_draining_is_over_when_everybody_is_gone() -> None:
    registry = Registry(10**9)

    async with asyncio.timeout(1):
        await registry.drain(3600)


async def test_a_newcomer_among_those_who_wait_for_an_outcome_does_not_make_two_holders() -> None:
    registry, older = Registry(10**9), Someone()
    older.outcome.clear()
    await registry.claim("d-1", older)
    waiting = [Someone() for _ in range(3)]
    claims = [asyncio.ensure_future(registry.claim("d-1", someone)) for someone in waiting]
    await asyncio.sleep(0)

    older.outcome.set()
    late = Someone()
    await asyncio.gather(*claims, registry.claim("d-1", late))

    holder = registry.holder_of("d-1")
    assert [someone for someone in (older, *waiting, late) if not someone.asked] == [holder]
