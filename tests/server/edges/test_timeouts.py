"""Time-outs that share a timer: each calls back in its time, in order, and not if it was called off."""

import asyncio
from collections.abc import Callable

import pytest

from consentful_server.edges.timeouts import Timeouts

Ring = Callable[[float], None]


class Loop:
    """Stands for the event loop: its time is set, and it has one timer at most."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> object:
        return self.call_at(self.now + delay, callback)

    def call_at(self, when: float, callback: Callable[[], None]) -> object:
        self.timers.append((when, callback))
        assert len(self.timers) == 1, "a second timer"
        return object()

    def advance(self, now: float) -> None:
        self.now = now
        while self.timers and self.timers[0][0] <= now:
            self.timers.pop()[1]()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    loop = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    return loop


def test_each_calls_back_in_its_time_and_in_order(loop: Loop) -> None:
    timeouts, rung = Timeouts(10), list[str]()

    timeouts.begin(lambda: rung.append("first"))
    loop.advance(4)
    timeouts.begin(lambda: rung.append("second"))
    loop.advance(9.9)
    assert rung == []
    loop.advance(10)
    assert rung == ["first"]
    loop.advance(14)

    assert rung == ["first", "second"]
    assert len(timeouts) == 0
    assert loop.timers == []


def test_one_that_is_called_off_does_not(loop: Loop) -> None:
    timeouts, rung = Timeouts(10), list[str]()

    timeouts.begin(ring := lambda: rung.append("never"))
    timeouts.call_off(ring)
    timeouts.call_off(ring)
    loop.advance(10)

    assert rung == []
    timeouts.begin(ring)
    loop.advance(20)
    assert rung == ["never"]


def test_a_callback_may_begin_and_call_off_others(loop: Loop) -> None:
    timeouts, rung = Timeouts(10), list[str]()

    def first() -> None:
        rung.append("first")
        timeouts.call_off(second)
        timeouts.begin(third)

    def second() -> None:
        rung.append("second")

    def third() -> None:
        rung.append("third")

    timeouts.begin(first)
    timeouts.begin(second)
    loop.advance(10)
    assert rung == ["first"]
    loop.advance(20)

    assert rung == ["first", "third"]


async def test_the_event_loop_calls_back() -> None:
    rung = asyncio.Event()

    Timeouts(0.001).begin(rung.set)

    async with asyncio.timeout(5):
        await rung.wait()
