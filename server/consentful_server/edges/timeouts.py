"""Time-outs of one length that nearly always are called off: they share one timer of the event loop.

A timer of their own would cost each of them as much as a task does. Here beginning and calling off are an entry in a
dict, whose order is that in which they are due, because all take equally long.

    begin ──► due in so many seconds ──► called back
                 └──call_off──► nothing

Everything runs on the event loop's thread. One of them calls back late by at most what the loop itself is late.

(R1) A callback begins or calls off others: `_ring` looks at the first one anew each time.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

Callback: TypeAlias = Callable[[], object]


class Timeouts:
    """Calls back after so many seconds, unless that is called off. A callback has one at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[Callback, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def begin(self, callback: Callback) -> None:
        """Call back once, in so many seconds from now."""
        loop = asyncio.get_running_loop()
        self._due[callback] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._ring)

    def call_off(self, callback: Callback) -> None:
        """Do not call back, if that was to be."""
        self._due.pop(callback, None)

    def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._due:
            callback, due = next(iter(self._due.items()))  # (R1)
            if due > loop.time():
                self._timer = self._timer or loop.call_at(due, self._ring)
                return
            del self._due[callback]
            callback()
