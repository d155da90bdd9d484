"""Whether a worker that ended is replaced, and when."""

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.workers.restarts import EX_REFUSED, EX_TEMPFAIL, MOST_DEATHS, Restarts

KILLED = -signal.SIGKILL


@pytest.mark.parametrize(
    ("ends", "pauses"),
    [
        ([(KILLED, 3600)], [0]),
        ([(0, 1)], [0]),
        ([(1, 1)] * 5, [0, 0.5, 1, 2, None]),
        ([(1, 1), (1, 1), (KILLED, 61), (1, 1)], [0, 0.5, 0, 0.5]),
        ([(EX_REFUSED, 3600)], [None]),
        ([(EX_TEMPFAIL, 1)] * 7, [1, 2, 4, 8, 16, 30, 30]),
        ([(EX_TEMPFAIL, 1), (1, 1), (EX_TEMPFAIL, 1)], [1, 0, 1]),
    ],
)
def test_pauses_grow_until_it_is_a_crash_loop(ends: list[tuple[int, float]], pauses: list[float | None]) -> None:
    restarts = Restarts()

    assert [restarts.after(status, lasted_s) for status, lasted_s in ends] == pauses


@given(st.lists(st.tuples(st.sampled_from([0, 1, KILLED, EX_TEMPFAIL]), st.floats(0, 200))))
def test_only_early_ends_in_a_row_stop_the_service(ends: list[tuple[int, float]]) -> None:
    restarts = Restarts()
    early = 0

    for status, lasted_s in ends:
        pause = restarts.after(status, lasted_s)
        if status != EX_TEMPFAIL:
            early = early + 1 if lasted_s < 60 else 1
        assert (pause is None) == (status != EX_TEMPFAIL and early >= MOST_DEATHS)
        assert pause is None or 0 <= pause <= 30
