"""Which backups are kept: the rule of `--keep`, `--keep-daily` and `--keep-weekly`. Pure.

A backup is kept if any of the three keeps it:

    last     the newest N
    daily    of each of the last N days that have a backup, the newest
    weekly   of each of the last N weeks (ISO 8601, from Monday) that have a backup, the newest

Days and weeks are counted in UTC, and only where there are backups: a pause deletes nothing, and neither does a clock
that is set ahead. Without any of the three, every backup is kept.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple


class BackupRule(NamedTuple):
    """How many backups are kept; 0 keeps none by this rule."""

    last: int = 0
    daily: int = 0
    weekly: int = 0


def kept(times: Iterable[datetime], keep: BackupRule) -> set[datetime]:
    """Return the times of the backups that are kept."""
    newest_first = sorted(set(times), reverse=True)
    if not any(keep):
        return set(newest_first)
    days = _newest_of_each(newest_first, lambda at: at.date().toordinal())
    weeks = _newest_of_each(newest_first, lambda at: (at.date().toordinal() - 1) // 7)  # 0001-01-01 was a Monday
    return {*newest_first[: keep.last], *days[: keep.daily], *weeks[: keep.weekly]}


def _newest_of_each(newest_first: Iterable[datetime], part: Callable[[datetime], int]) -> list[datetime]:
    newest: dict[int, datetime] = {}
    for at in newest_first:
        newest.setdefault(part(at), at)
    return list(newest.values())
