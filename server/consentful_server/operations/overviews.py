"""The present overview, made once for all who look at it within a second: so they cost no more than one does."""

import asyncio
import math
import time
from typing import Final

from ..errors import Overloaded
from ..service import Service
from .overview import Overview, overview
from .readiness import Readiness

FRESH_S: Final = 1.0
MOST_WATCHERS: Final = 32
"""Streams of events in one process."""


class Overviews:
    """Overviews of one service."""

    def __init__(self, service: Service, readiness: Readiness) -> None:
        self._service = service
        self._readiness = readiness
        self._lock = asyncio.Lock()
        self._latest: Overview | None = None
        self._made_at = -math.inf
        self._watchers = 0

    async def latest(self) -> Overview:
        """Return an overview that is a second old at most.

        Raises:
            Overloaded: If the other workers cannot be asked.
        """
        async with self._lock:
            if self._latest is None or time.monotonic() - self._made_at >= FRESH_S:
                self._latest = await self._make()
                self._made_at = time.monotonic()
            return self._latest

    def __enter__(self) -> None:
        """Take one of the places of those who watch.

        Raises:
            Overloaded: If all are taken.
        """
        if self._watchers >= MOST_WATCHERS:
            raise Overloaded
        self._watchers += 1

    def __exit__(self, *_: object) -> None:
        self._watchers -= 1

    async def _make(self) -> Overview:
        parts = {
            name: "ready" if refusal is None else refusal.code
            for name, refusal in (await self._readiness.look_at_all()).items()
        }
        report = await self._service.merged_report()
        return overview(report, at=self._service.clock.now().timestamp(), parts=parts)
