"""Which backups are kept, as a table and as properties."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.operations.keeping import BackupRule, kept

MONDAY = datetime(2026, 3, 2, 1, tzinfo=UTC)
TIMES = st.sets(st.integers(0, 500 * 24).map(lambda hour: MONDAY + timedelta(hours=hour)), max_size=60)
COUNTS = st.integers(0, 12)


def hours(*after: float) -> set[datetime]:
    return {MONDAY + timedelta(hours=each) for each in after}


@pytest.mark.parametrize(
    ("made", "keep", "stays"),
    [
        (hours(), BackupRule(3, 3, 3), hours()),
        (hours(0, 1, 2), BackupRule(), hours(0, 1, 2)),
        (hours(0, 1, 2), BackupRule(last=2), hours(1, 2)),
        (hours(0, 1, 24, 25, 48), BackupRule(daily=2), hours(25, 48)),
        (hours(0, 24 * 30), BackupRule(daily=2), hours(0, 24 * 30)),
        (hours(-2, 0, 24 * 6, 24 * 7), BackupRule(weekly=2), hours(24 * 6, 24 * 7)),
        (hours(-2, 0, 24 * 6), BackupRule(weekly=2), hours(-2, 24 * 6)),
        (hours(0, 1, 24, 24 * 7, 24 * 14), BackupRule(1, 2, 3), hours(24, 24 * 7, 24 * 14)),
    ],
)
def test_a_backup_is_kept_if_one_rule_keeps_it(made: set[datetime], keep: BackupRule, stays: set[datetime]) -> None:
    assert kept(made, keep) == stays


@given(TIMES, COUNTS, COUNTS, COUNTS)
def test_each_rule_keeps_its_newest_and_no_rule_takes_what_another_keeps(
    made: set[datetime], last: int, daily: int, weekly: int
) -> None:
    keep = BackupRule(last, daily, weekly)
    stays = kept(made, keep)

    assert stays <= made
    if any(keep):
        assert len(stays) <= sum(keep)
        assert stays == set[datetime]().union(
            *(
                kept(made, only)
                for only in (BackupRule(last), BackupRule(0, daily), BackupRule(0, 0, weekly))
                if any(only)
            )
        )
        assert not made or max(made) in stays
    else:
        assert stays == made
    if daily:
        assert len({at.date() for at in stays}) >= min(daily, len({at.date() for at in made}))
    if weekly:
        assert len({at.isocalendar()[:2] for at in stays}) >= min(weekly, len({at.isocalendar()[:2] for at in made}))
