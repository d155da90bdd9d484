"""When a dialog ends because of time, to the second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.dialogs.deadlines import Deadlines, Expire, Warn


def opened(idle: float = 900, duration: float = 86_400) -> Deadlines:
    deadlines = Deadlines(idle, duration, 0)
    deadlines.open(0)
    return deadlines


@pytest.mark.parametrize(
    ("at", "due"),
    [
        (0, None),
        (869, None),
        (870, Warn("idle", 30.0)),
        (880, Warn("idle", 20.0)),
        (899.9, Warn("idle", 0.1)),
        (900, Expire("idle")),
        (5000, Expire("idle")),
    ],
)
def test_an_idle_dialog_is_warned_30_s_ahead_and_then_ends(at: float, due: object) -> None:
    assert opened().check(at) == due


def test_a_warning_is_given_once_and_again_after_something_was_said() -> None:
    deadlines = opened()
    assert deadlines.check(871) == Warn("idle", 29.0)
    assert deadlines.check(872) is None

    deadlines.reset_idle(873)

    assert deadlines.check(1742) is None
    assert deadlines.check(1743) == Warn("idle", 30.0)


def test_a_dialog_ends_after_its_duration_whatever_is_said() -> None:
    deadlines = opened(idle=100, duration=1000)
    for second in range(0, 1000, 10):
        deadlines.reset_idle(second)

    assert deadlines.check(975) == Warn("duration", 25.0)
    deadlines.reset_idle(976)
    assert deadlines.check(977) is None, "nothing moves this deadline, so it is not announced again"
    assert deadlines.check(1000) == Expire("duration")


@pytest.mark.parametrize(("at", "due"), [(9.9, None), (10, Expire("open"))])
def test_open_must_come_within_10_s(at: float, due: object) -> None:
    assert Deadlines(900, 86_400, 0).check(at) == due


def test_idle_and_duration_start_when_the_dialog_is_opened() -> None:
    deadlines = Deadlines(idle_s=100, duration_s=1000, now=0)
    deadlines.open(9)
    assert deadlines.check(105) == Warn("idle", 4.0)
    assert deadlines.check(109) == Expire("idle")

    deadlines.reset_idle(979)

    assert deadlines.check(980) == Warn("duration", 29.0)
    assert deadlines.check(1009) == Expire("duration")


@pytest.mark.parametrize(("idle", "first_warning"), [(20, 10), (2, 1), (120, 90)])
def test_a_short_deadline_is_announced_half_way(idle: float, first_warning: float) -> None:
    deadlines = opened(idle=idle)

    assert deadlines.check(first_warning - 0.01) is None
    assert deadlines.check(first_warning) == Warn("idle", idle - first_warning)


def test_a_short_duration_is_announced_half_way() -> None:
    deadlines = opened(duration=20)

    assert deadlines.check(9.99) is None
    assert deadlines.check(10) == Warn("duration", 10)


@given(st.lists(st.tuples(st.floats(0.1, 40), st.booleans()), max_size=60), st.sampled_from([20.0, 100.0]))
def test_what_was_not_due_before_makes_nothing_due_later(steps: list[tuple[float, bool]], idle_s: float) -> None:
    """A check that finds nothing due remembers until when: that may change what it costs, not what it returns."""
    checked, spoke_at, now = Deadlines(idle_s, 300, 0), [0.0], 0.0
    checked.open(0)
    for step, speaks in steps:
        now += step
        asked_once = Deadlines(idle_s, 300, 0)
        asked_once.open(0)
        for moment in spoke_at:
            asked_once.reset_idle(moment)

        due = checked.check(now)

        assert due == asked_once.check(now)
        if due is not None:
            return
        if speaks:
            spoke_at.append(now)
            checked.reset_idle(now)
