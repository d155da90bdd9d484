"""Retention: a dialog is erased when the period that its notice stated is over (GDPR art. 5(1)(e)).

    waiting ──an hour has passed──► purging, a batch at a time ──► waiting
       │ the wall clock and the monotonic clock have moved apart by over 15 minutes since the last purge
       ▼
    halted: nothing is purged until the server is restarted

A wrong clock would erase dialogs that are not expired, and nothing could bring them back, so a jump stops the purge;
the metric `consentful_retention_halted` tells the operator. A suspended machine looks like a jump. A clock that was
wrong already at the start is not noticed.

Races, and the line that closes each:

(R1) Several processes are due at the same time: one has the lease, and takes it again before each batch. The others
     purge nothing until their next hour.
(R2) The process with the lease dies: the lease expires five minutes later, and another process goes on when it is due.
(R3) A customer withdraws a dialog that is about to be purged: `erase` finds its tombstone and changes nothing.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from ..archive.archive import Archive
from ..archive.store import DialogStore
from ..clock import Clock, to_micros
from ..leases import Leases

EVERY_S: Final = 3600.0
_JUMP_S: Final = 900.0
"""Seconds by which the clocks may move apart between two purges; more is a jump."""

_AT_ONCE: Final = 200
_LEASE: Final = "retention"
_LEASE_LENGTH: Final = timedelta(minutes=5)  # (R2)
"""Many times what a batch takes."""

_log: Final = logging.getLogger("consentful.retention")


class Retention:
    """Purges expired dialogs every hour. If the clock jumps it halts until the server is restarted."""

    def __init__(self, archive: Archive, dialogs: DialogStore, leases: Leases, clock: Clock) -> None:
        self._archive = archive
        self._dialogs = dialogs
        self._leases = leases
        self._holder = secrets.token_hex(8)
        self._clock = clock
        self._due = clock.monotonic()
        self._offset = self._wall_minus_monotonic()
        self.is_halted = False

    async def tick(self) -> None:
        """Purge if an hour has passed since the last purge."""
        now = self._clock.monotonic()
        if self.is_halted or now < self._due:
            return
        self._due = now + EVERY_S  # before the purge: one that fails is tried again in an hour
        if abs(self._wall_minus_monotonic() - self._offset) > _JUMP_S:
            self.is_halted = True
            _log.error("the clock jumped; nothing is purged until the clock is correct and the server is restarted")
            return
        self._offset = self._wall_minus_monotonic()  # small steps are adopted: NTP corrects a clock all the time
        try:
            if erased := await purge(self._archive, self._dialogs, self._clock, self._has_lease):  # (R1)
                _log.info("purged", extra={"dialogs": erased})
        finally:
            await self._leases.release(_LEASE, self._holder)

    async def _has_lease(self) -> bool:
        return await self._leases.take(_LEASE, self._holder, _LEASE_LENGTH)

    def _wall_minus_monotonic(self) -> float:
        return to_micros(self._clock.now()) / 1_000_000 - self._clock.monotonic()


async def _always() -> bool:
    return True


async def purge(
    archive: Archive, dialogs: DialogStore, clock: Clock, may_go_on: Callable[[], Awaitable[bool]] = _always
) -> int:
    """Erase every expired dialog; return how many. `may_go_on` is awaited before each batch."""
    erased = 0
    while await may_go_on() and (expired := await dialogs.expired(to_micros(clock.now()), _AT_ONCE)):
        outcomes = await asyncio.gather(
            *(archive.erase(dialog_id, "expired") for dialog_id in expired),  # (R3)
            return_exceptions=True,
        )
        for outcome in outcomes:  # all have ended: an error stops no other erasure of the batch
            if isinstance(outcome, BaseException):
                raise outcome
        erased += len(outcomes)
    return erased
