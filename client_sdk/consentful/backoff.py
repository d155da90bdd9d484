"""Exponential backoff: how long to wait before the next try, and when to give up. Pure: time and randomness are passed
in.

    CALM ──begin, fail──► TROUBLE ──succeed──► CALM         `_since` is when the trouble began; None while CALM
                             │ `give_up_after` seconds of trouble
                             └──► fail returns None

Two clocks run independently. The time to give up starts anew with each `succeed`. The length of the waits starts anew
only if the connection then lasted as long as the longest wait: a server that accepts every client and drops it at once
is overloaded, and must not be hammered.

There is no lock: one task uses a `Backoff`.
"""

from collections.abc import Callable
from random import SystemRandom
from typing import Final

JITTER: Final = SystemRandom().random
"""Random numbers in [0, 1), independent of the program's own generator and its seed."""

FIRST_S: Final = 0.25
LONGEST_S: Final = 10.0
_DOUBLINGS: Final = 16
"""Enough to exceed every longest wait, few enough for a float."""


class Backoff:
    """Exponential backoff with full jitter, for at most `give_up_after` seconds of trouble.

    Full jitter (a wait drawn evenly from zero to the ceiling) spreads the clients of a restarted server best. `random`
    returns numbers in [0, 1).
    """

    __slots__ = ("_first", "_give_up_after", "_longest", "_random", "_reached_at", "_since", "_tries")

    def __init__(
        self,
        give_up_after: float,
        random: Callable[[], float],
        *,
        first: float = FIRST_S,
        longest: float = LONGEST_S,
    ) -> None:
        self._give_up_after = give_up_after
        self._random = random
        self._first = first
        self._longest = longest
        self._since: float | None = None
        self._reached_at = float("-inf")
        self._tries = 0

    def begin(self, now: float) -> None:
        """Start the time to give up, unless it runs already."""
        if self._since is None:
            self._since = now

    def fail(self, now: float, at_least: float = 0.0) -> float | None:
        """Return the seconds to wait before the next try; None to give up.

        `at_least` is the server's Retry-After in seconds. The jitter is added to it, so that not all clients come back
        at the same moment. If it exceeds the time that is left, give up; every other wait is cut to it, for one last
        try.
        """
        if self._since is None and now - self._reached_at >= self._longest:
            self._tries = 0  # the last connection lasted: it was a good one
        self.begin(now)
        left = self.left(now)
        ceiling = min(self._longest, self._first * 2.0 ** min(self._tries, _DOUBLINGS))
        self._tries += 1
        if left <= 0 or at_least > left:
            return None
        return min(left, at_least + self._random() * ceiling)

    def succeed(self, now: float) -> None:
        """Record that a server was reached: the time to give up starts anew with the next trouble."""
        if self._since is not None:
            self._since = None
            self._reached_at = now

    def trouble(self, now: float) -> float:
        """Return for how many seconds the trouble has lasted."""
        return 0.0 if self._since is None else now - self._since

    def left(self, now: float) -> float:
        """Return the seconds until it is time to give up."""
        return self._give_up_after if self._since is None else self._since + self._give_up_after - now
