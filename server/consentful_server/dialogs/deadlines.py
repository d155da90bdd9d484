"""How long a dialog is waited for. Pure: it is told the time, in seconds that only grow."""

from typing import Final, Literal, TypeAlias

import msgspec

Reason: TypeAlias = Literal["open", "idle", "duration"]

OPEN_WITHIN_S: Final = 10.0
WARN_AHEAD_S: Final = 30.0


class Warn(msgspec.Struct, frozen=True):
    """The dialog will end, unless something is said."""

    reason: Literal["idle", "duration"]
    in_s: float


class Expire(msgspec.Struct, frozen=True):
    """The dialog's time is over."""

    reason: Reason


class Patience:
    """One connection's clocks: `open` must come, then something must be said, and it must end some day."""

    __slots__ = ("_began", "_heard", "_idle_s", "_longest_s", "_opened", "_warned")

    def __init__(self, idle_s: float, longest_s: float, now: float) -> None:
        self._idle_s = idle_s
        self._longest_s = longest_s
        self._began = now
        self._heard = now
        self._opened = False
        self._warned: tuple[str, ...] = ()

    def open(self, now: float) -> None:
        """The dialog was opened: its duration counts from here."""
        self._opened = True
        self._began = now
        self.hear(now)

    def hear(self, now: float) -> None:
        """Something was accepted. Pings do not count."""
        self._heard = now
        if "idle" in self._warned:
            self._warned = tuple(reason for reason in self._warned if reason != "idle")

    def judge(self, now: float) -> Warn | Expire | None:
        """Return what is due now; each warning is given once."""
        if not self._opened:
            return Expire("open") if now >= self._began + OPEN_WITHIN_S else None
        reason, left = min(self._left(now), key=lambda pair: pair[1])
        if left <= 0:
            return Expire(reason)
        if left <= self._ahead(reason) and reason not in self._warned:
            self._warned = (*self._warned, reason)
            return Warn(reason, round(left, 3))
        return None

    def _left(self, now: float) -> tuple[tuple[Literal["idle", "duration"], float], ...]:
        return ("idle", self._heard + self._idle_s - now), ("duration", self._began + self._longest_s - now)

    def _ahead(self, reason: Literal["idle", "duration"]) -> float:
        """Return how long before its end to warn: half the time, where 30 s would be most of it."""
        whole = self._idle_s if reason == "idle" else self._longest_s
        return min(WARN_AHEAD_S, whole / 2)
