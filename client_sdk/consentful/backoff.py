"""How long to wait before trying again, and when to give up. Pure: it is told the time and brings its own dice."""

from collections.abc import Callable
from random import SystemRandom
from typing import Final

JITTER: Final = SystemRandom().random
"""Draws without the program's own generator, whose seed may be what its results rest on."""

FIRST_S: Final = 0.25
LONGEST_S: Final = 10.0
_DOUBLINGS: Final = 16
"""Enough to pass any longest wait, few enough for a float."""


class Backoff:
    """Exponential backoff with full jitter, for at most `give_up_after` seconds of trouble.

    Full jitter (a wait drawn evenly from nothing to the whole) spreads the clients of a killed server best.
    `random` returns numbers in [0, 1).
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
        """Trouble counts from here, unless it has begun already."""
        if self._since is None:
            self._since = now

    def fail(self, now: float, at_least: float = 0.0) -> float | None:
        """Return the seconds to wait before the next try, or None when it is time to give up.

        `at_least` is what a server asked for (Retry-After): the jitter then comes on top of it, so that not everybody
        is back in the same moment. A wait that the server wants and patience does not allow is giving up; any other
        wait is cut short, for one last try.
        """
        if self._since is None and now - self._reached_at >= self._longest:
            self._tries = 0
        self.begin(now)
        left = self.left(now)
        ceiling = min(self._longest, self._first * 2.0 ** min(self._tries, _DOUBLINGS))
        self._tries += 1
        if left <= 0 or at_least > left:
            return None
        return min(left, at_least + self._random() * ceiling)

    def succeed(self, now: float) -> None:
        """A server is reached, so patience is whole again.

        The waits are short again only once that has lasted for the longest of them: a server that hangs up on
        everybody whom it lets in is not to be hammered.
        """
        if self._since is not None:
            self._since = None
            self._reached_at = now

    def left(self, now: float) -> float:
        """Return the seconds until it is time to give up."""
        return self._give_up_after if self._since is None else self._since + self._give_up_after - now
