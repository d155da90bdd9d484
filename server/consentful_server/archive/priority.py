"""Priority: a decision goes before what is opened for readers. Both run Python, so both need the GIL.

A decision takes the GIL some thirty times: on the event loop, and after each step of the database for it on the
writer's thread. A thread that opens dialogs keeps it until another asks for 5 ms, so a decision would take as many
times as long. So a reader's thread calls `give_way` after each dialog that it opened:

    a decision is under way            it sleeps until that is done, for 5 ms at most; then it works for 5 ms at least
    the last was less than 1 s ago     it sleeps for a moment after each 0.3 ms: the next may have come in
    otherwise                          it works on

So readers have half of the time at least, however many dialogs are decided. What a reader does for all dialogs of a
block, such as to encode them, gives way to nothing; so blocks are short while `is_needed`.

Threads: `decision` runs on the event loop; `give_way` on readers' threads, which may use one object at the same time.
Every field is one number, and each is written by one side alone or may be stale: then a reader sleeps once more, or
once less.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

_MOST_S: Final = 0.005
_LOOK_S: Final = 0.000_2
_WORK_S: Final = 0.000_3
_MOMENT_S: Final = 0.000_001
"""The system adds about 50 microseconds, in which another thread takes the GIL."""
_RECENT_S: Final = 1.0


class Priority:
    """Who goes first. `sleep` and `now` (seconds) are the system's unless given."""

    def __init__(
        self, sleep: Callable[[float], object] = time.sleep, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._sleep = sleep
        self._now = now
        self._deciding = 0
        self._recent_until = 0.0
        self._works_until = 0.0
        self._next_moment = 0.0

    @contextmanager
    def decision(self) -> Generator[None]:
        """Go before readers until the block ends."""
        self._deciding += 1
        self._recent_until = self._now() + _RECENT_S
        try:
            yield
        finally:
            self._deciding -= 1

    @property
    def is_needed(self) -> bool:
        """Whether a decision is under way, or the last began less than 1 s ago."""
        return self._deciding > 0 or self._now() < self._recent_until

    def give_way(self) -> None:
        """Let decisions go first, if there are any."""
        now = self._now()
        if now >= self._recent_until and not self._deciding:
            return
        if self._deciding and now >= self._works_until:
            self._wait(now + _MOST_S)
        elif now >= self._next_moment:
            self._sleep(_MOMENT_S)
        else:
            return
        self._next_moment = self._now() + _WORK_S

    def _wait(self, until: float) -> None:
        while self._deciding:
            self._sleep(_LOOK_S)
            if self._now() >= until:
                self._works_until = self._now() + _MOST_S
                return
