"""Whether a worker that ended is replaced, and when. Pure; the caller passes the times in seconds.

    ended after it served for `_SETTLED_S`         replaced at once; what happened before is forgotten
    ended earlier                                  replaced after 0, 0.5, 1, 2 … seconds
    ended earlier for the fifth time in a row      a crash loop: the service stops
    refused to start (`EX_REFUSED`)                the service stops: a setting or a key is wrong, and stays wrong
    cannot reach the database (`EX_TEMPFAIL`)      replaced after 1, 2, 4 … seconds, at most `_MOST_S`

A crash loop of one worker ends the others as well. All of them run the same program on the same store, and a service
that its manager sees fail is looked after; one that limps is not.
"""

import os
from dataclasses import dataclass
from typing import Final

from ..errors import Refusal, Unreachable

EX_REFUSED: Final = Refusal.exit_status
"""Of a worker that was refused: the reason is in the log, and does not go away by itself."""
EX_CRASH_LOOP: Final = os.EX_SOFTWARE
"""Of a service whose workers kept ending (70, sysexits.h)."""
EX_TEMPFAIL: Final = Unreachable.exit_status
"""Of a start that may succeed later (75, sysexits.h)."""

MOST_DEATHS: Final = 5
_SETTLED_S: Final = 60.0
_MOST_S: Final = 30.0


@dataclass
class Restarts:
    """How often the worker of one seat has ended early, in a row."""

    deaths: int = 0
    absences: int = 0

    def after(self, status: int, lasted_s: float) -> float | None:
        """Return how many seconds to wait before a replacement; None if there must be none.

        `status` is the exit status, or the negative number of the signal that ended the worker.
        """
        if status == EX_REFUSED:
            return None
        if status == EX_TEMPFAIL:
            self.absences += 1
            return min(2.0 ** (self.absences - 1), _MOST_S)
        self.absences = 0
        self.deaths = self.deaths + 1 if lasted_s < _SETTLED_S else 1
        if self.deaths >= MOST_DEATHS:
            return None
        return 0.0 if self.deaths == 1 else 2.0 ** (self.deaths - 3)
