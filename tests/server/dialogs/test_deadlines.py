"""How long a dialog is waited for, to the second."""

import pytest

from consentful_server.dialogs.deadlines import Expire, Patience, Warn


def opened(idle: float = 900, longest: float = 86_400) -> Patience:
    patience = Patience(idle, longest, 0)
    patience.open(0)
    return patience


@pytest.mark.parametrize(
    ("at", "verdict"),
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
def test_an_idle_dialog_is_warned_30_s_ahead_and_then_ends(at: float, verdict: object) -> None:
    assert opened().judge(at) == verdict


def test_a_warning_is_given_once_and_again_after_something_was_said() -> None:
    patience = opened()
    assert patience.judge(871) == Warn("idle", 29.0)
    assert patience.judge(872) is None

    patience.hear(873)

    assert patience.judge(1742) is None
    assert patience.judge(1743) == Warn("idle", 30.0)


def test_a_dialog_ends_after_its_duration_whatever_is_said() -> None:
    patience = opened(idle=100, longest=1000)
    for second in range(0, 1000, 10):
        patience.hear(second)

    assert patience.judge(975) == Warn("duration", 25.0)
    patience.hear(976)
    assert patience.judge(977) is None
    assert patience.judge(1000) == Expire("duration")


@pytest.mark.parametrize(("at", "verdict"), [(9.9, None), (10, Expire("open"))])
def test_open_must_come_within_10_s(at: float, verdict: object) -> None:
    assert Patience(900, 86_400, 0).judge(at) == verdict


def test_the_clocks_start_when_the_dialog_is_opened() -> None:
    patience = Patience(idle_s=100, longest_s=1000, now=0)
    patience.open(9)

    assert patience.judge(105) == Warn("idle", 4.0)
    assert patience.judge(109) == Expire("idle")


@pytest.mark.parametrize(("idle", "first_warning"), [(20, 10), (2, 1), (120, 90)])
def test_a_short_time_out_warns_half_way(idle: float, first_warning: float) -> None:
    patience = opened(idle=idle)

    assert patience.judge(first_warning - 0.01) is None
    assert patience.judge(first_warning) == Warn("idle", idle - first_warning)
