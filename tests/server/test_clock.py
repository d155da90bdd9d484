"""Times: stored as microseconds, and read back exactly, one by one or many at once."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from consentful_server.clock import all_from_micros, from_micros, to_micros

MOMENTS = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy wants them so


@given(MOMENTS)
def test_a_moment_is_read_back_as_it_was_stored(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment


@given(st.lists(MOMENTS))
def test_many_moments_are_read_back_as_they_were_stored(moments: list[datetime]) -> None:
    assert all_from_micros(map(to_micros, moments)) == moments


@given(st.lists(st.integers(0, 4_102_444_800_000_000), min_size=50))
def test_many_moments_of_our_times_are_exact_to_the_microsecond(micros: list[int]) -> None:
    assert [to_micros(moment) for moment in all_from_micros(micros)] == micros
