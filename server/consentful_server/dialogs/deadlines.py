"""When a dialog ends because of time (contract §1, rules 1 and 10). Pure: `now` is seconds that only grow.

Three deadlines: `open` must come within 10 s, a message or a decision at least every `idle_s`, and the whole dialog
takes at most `duration_s`. The last two are announced before they pass.
"""

from typing import Final, Literal, TypeAlias

import msgspec

Announced: TypeAlias = Literal["idle", "duration"]
Deadline: TypeAlias = Literal["open", "idle", "duration"]

OPEN_WITHIN_S: Final = 10.0
WARN_AHEAD_S: Final = 30.0


class Warn(msgspec.Struct, frozen=True):
    """The deadline passes in `in_s` seconds. Only a message or a decision moves `idle`; nothing moves `duration`."""

    deadline: Announced
    in_s: float


class Expire(msgspec.Struct, frozen=True):
    """The deadline has passed; the dialog ends now."""

    deadline: Deadline


class Deadlines:
    """One dialog's deadlines."""

    __slots__ = ("_active_at", "_began_at", "_duration_s", "_idle_s", "_is_open", "_quiet_until", "_warned")

    def __init__(self, idle_s: float, duration_s: float, now: float) -> None:
        self._idle_s = idle_s
        self._duration_s = duration_s
        self._began_at = now
        self._active_at = now
        self._is_open = False
        self._warned: Announced | None = None
        self._quiet_until = 0.0
        """Nothing is due before, whatever is said: a message only moves `idle` away."""

    def open(self, now: float) -> None:
        """Start `idle` and `duration`: the dialog was opened."""
        self._is_open = True
        self._quiet_until = 0.0
        self._began_at = now
        self.reset_idle(now)

    def reset_idle(self, now: float) -> None:
        """Start `idle` again: a message or a decision was accepted. Pings and replayed messages are neither."""
        self._active_at = now
        if self._warned == "idle":
            self._warned = None

    def check(self, now: float) -> Warn | Expire | None:
        """Return what is due now. A deadline is announced once, and `idle` once more after it was reset."""
        if now < self._quiet_until:
            return None
        if not self._is_open:
            return Expire("open") if now >= self._began_at + OPEN_WITHIN_S else None
        deadline, left = min(self._left(now), key=lambda pair: pair[1])
        if left <= 0:
            return Expire(deadline)
        if left <= self._warn_ahead_s(deadline) and deadline != self._warned:
            self._warned = deadline
            return Warn(deadline, round(left, 3))
        if self._warned is None:
            self._quiet_until = now + min(left - self._warn_ahead_s(name) for name, left in self._left(now))
        return None

    def _left(self, now: float) -> tuple[tuple[Announced, float], ...]:
        return ("idle", self._active_at + self._idle_s - now), ("duration", self._began_at + self._duration_s - now)

    def _warn_ahead_s(self, deadline: Announced) -> float:
        """Return how long before the deadline to announce it: half of a short one, of which 30 s would be most."""
        whole = self._idle_s if deadline == "idle" else self._duration_s
        return min(WARN_AHEAD_S, whole / 2)
