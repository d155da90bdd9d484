import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful.backoff import FIRST_S, JITTER, Backoff

chances = st.floats(0, 1, exclude_max=True)
times = st.floats(0, 1e6)


@given(st.lists(chances, min_size=1, max_size=200), times)
def test_a_wait_is_drawn_from_a_doubling_span_with_a_ceiling(draws: list[float], now: float) -> None:
    dice = iter(draws)
    backoff = Backoff(1e9, lambda: next(dice))

    waits = [backoff.fail(now) for _ in draws]

    assert waits == [draw * min(10.0, 0.25 * 2 ** min(tries, 16)) for tries, draw in enumerate(draws)]


@given(st.floats(0, 1000), chances, times)
def test_nobody_waits_past_the_end_of_patience(give_up_after: float, draw: float, now: float) -> None:
    backoff = Backoff(give_up_after, lambda: draw)
    began = now

    while (wait := backoff.fail(now)) is not None:
        now += max(wait, 0.5)

    assert now >= began + give_up_after


@given(st.floats(0.001, 100), chances)
def test_a_server_that_asks_for_time_gets_it_and_some_jitter(asked: float, draw: float) -> None:
    wait = Backoff(200, lambda: draw).fail(0.0, asked)

    assert wait is not None
    assert asked <= wait <= asked + FIRST_S


def test_a_server_that_asks_for_more_time_than_there_is_ends_it_at_once() -> None:
    assert Backoff(10, lambda: 0.5).fail(0.0, 11.0) is None
    assert Backoff(10, lambda: 0.5).fail(0.0, 10.0) == 10, "all that is left is not more"


def test_success_makes_patience_whole_again() -> None:
    backoff = Backoff(10, lambda: 0.5)
    backoff.fail(0.0)
    assert backoff.left(9.0) == 1.0

    backoff.succeed(9.0)

    assert backoff.left(9.0) == 10


def test_waits_are_short_again_after_a_success_that_lasted() -> None:
    backoff = Backoff(100, lambda: 0.5, first=1.0, longest=10.0)
    assert [backoff.fail(0.0), backoff.fail(1.0)] == [0.5, 1.0]

    backoff.succeed(2.0)
    backoff.succeed(11.0)  # said again with every ack

    assert backoff.fail(12.0) == 0.5


@pytest.mark.parametrize("began", [0, 1_000_000])
def test_a_server_that_hangs_up_at_once_is_not_hammered(began: int) -> None:
    backoff = Backoff(100, lambda: 0.5, first=1.0, longest=10.0)
    waits: list[float | None] = []

    for now in range(began, began + 6):
        waits.append(backoff.fail(now))
        backoff.succeed(now)

    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_without_patience_the_first_failure_is_the_last() -> None:
    assert Backoff(0, lambda: 0.5).fail(3.0) is None


def test_patience_counts_from_the_beginning_of_the_first_try() -> None:
    backoff = Backoff(10, lambda: 0.5)

    backoff.begin(0.0)
    backoff.begin(8.0)

    assert backoff.left(9.0) == 1.0
    assert backoff.fail(9.0) == 0.5 * FIRST_S, "the first wait is a short one"


def test_jitter_leaves_the_programs_own_random_numbers_as_they_would_be() -> None:
    before = random.getstate()

    assert 0 <= JITTER() < 1

    assert random.getstate() == before
