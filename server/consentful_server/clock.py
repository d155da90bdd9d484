"""Time as an argument: the server reads it from a `Clock`, tests set it.

Stored times are microseconds since the epoch, UTC.
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import msgspec

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_EXACT_AS_SECONDS: Final = 4_102_444_800_000_000
"""The year 2100. Some way after it a float of seconds no longer tells two microseconds apart."""


class Clock(Protocol):
    """Tells what time it is."""

    def now(self) -> datetime:
        """Return the wall clock's time, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only ever grow, for time-outs."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def to_micros(moment: datetime) -> int:
    return (moment - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    return EPOCH + timedelta(0, 0, micros)  # by position, which takes two thirds of the time


def all_from_micros(micros: Iterable[int]) -> list[datetime]:
    """Return `from_micros` of each, in a fifth of the time: what lists of messages spend most on."""
    micros = list(micros)
    if not micros:  # asking takes as long as for forty
        return []
    if max(micros, default=0) > _EXACT_AS_SECONDS:
        return [from_micros(moment) for moment in micros]
    return msgspec.convert([moment / 1e6 for moment in micros], list[datetime], strict=False)
