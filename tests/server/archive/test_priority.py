"""Decisions go before what is opened for readers, and readers are never stopped by them."""

from collections.abc import Callable

import msgspec
import pytest

from consentful_server.archive.opening import Opener
from consentful_server.archive.priority import Priority
from consentful_server.archive.store import StoredDialog
from consentful_server.auth.read_scope import ReadScope
from consentful_server.testing import Served
from kept import keep
from sealed import VAULT, candidate


class Time:
    """A clock that sleeping moves, and work."""

    def __init__(self) -> None:
        self.at = 100.0
        self.slept = 0.0
        self.after_each: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        self.slept += seconds
        self.after_each()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def priority(time: Time) -> Priority:
    return Priority(time.sleep, time.now)


def open_dialogs(priority: Priority, time: Time, seconds: float) -> float:
    """Open dialogs, each in 50 microseconds, until that took so many seconds; return the part that was work."""
    began, worked = time.at, 0.0
    while time.at < began + seconds:
        priority.give_way()
        time.at += 0.00005
        worked += 0.00005
    return worked / (time.at - began)


def test_while_nothing_is_decided_readers_do_not_wait(priority: Priority, time: Time) -> None:
    open_dialogs(priority, time, 1.0)

    assert time.slept == 0


def test_a_reader_waits_until_the_decision_is_carried_out(priority: Priority, time: Time) -> None:
    with priority.decision():
        carried_out_at = time.at + 0.003
        time.after_each = lambda: setattr(priority, "_deciding", int(time.at < carried_out_at))

        priority.give_way()

        assert carried_out_at <= time.at < carried_out_at + 0.001
        priority._deciding = 1  # pyright: ignore[reportPrivateUsage] - as it was: the block ends it


def test_a_decision_that_takes_long_leaves_readers_half_of_the_time(priority: Priority, time: Time) -> None:
    with priority.decision():
        assert 0.4 < open_dialogs(priority, time, 1.0) < 0.6


def test_readers_make_short_pauses_for_the_next_decision_and_then_none(priority: Priority, time: Time) -> None:
    with priority.decision():
        pass

    open_dialogs(priority, time, 0.9)
    assert time.slept > 0
    open_dialogs(priority, time, 0.2)
    slept = time.slept
    open_dialogs(priority, time, 1.0)

    assert time.slept == slept


def test_decisions_that_overlap_are_all_waited_for(priority: Priority, time: Time) -> None:
    with priority.decision():
        with priority.decision():
            pass
        priority.give_way()
        assert time.slept > 0.004


def test_a_reader_gives_way_before_each_dialog() -> None:
    sealed = candidate("d-1").sealed
    fields = {name: getattr(sealed, name) for name in sealed.__struct_fields__}
    dialog = StoredDialog(**fields, number=1, stored_at=0)
    times: list[None] = []
    opener = Opener(VAULT, ReadScope(), lambda: times.append(None))

    for number in range(3):
        assert opener.open(msgspec.structs.replace(dialog, number=number)) is not None

    assert len(times) == 3


async def test_a_grant_is_a_decision_until_it_is_stored(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    priority: Priority = service.service.archive._priority  # pyright: ignore[reportPrivateUsage]
    store, seen = service.service.store.dialogs.keep, list[int]()

    async def watched(sealed: object) -> object:
        seen.append(priority._deciding)  # pyright: ignore[reportPrivateUsage]
        return await store(sealed)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(service.service.store.dialogs, "keep", watched)

    await keep(service.service, "d-1", ["Hi"])

    assert seen == [1]
    assert priority._deciding == 0  # pyright: ignore[reportPrivateUsage]


def test_it_is_needed_while_a_decision_is_under_way_and_for_a_second_after_it_began(
    priority: Priority, time: Time
) -> None:
    needed = [priority.is_needed]
    with priority.decision():
        needed.append(priority.is_needed)
        time.at += 5
        needed.append(priority.is_needed)
    needed.append(priority.is_needed)
    with priority.decision():
        pass
    time.at += 0.9
    needed.append(priority.is_needed)
    time.at += 0.2
    needed.append(priority.is_needed)

    assert needed == [False, True, True, False, True, False]
