"""Time as an argument: the SDK reads it, and waits, through a `Clock`; tests bring their own."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells what time it is, and lets it pass."""

    def now(self) -> datetime:
        """Return the wall clock's time, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only ever grow, for time-outs."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
