"""Retention: a dialog is erased when the period that its notice stated is over (GDPR art. 5(1)(e)).

    waiting ──an hour has passed──► purging, a batch at a time ──► waiting
       │  ▲
       │  └── the clock is right again, or an operator trusts it
       ▼  the clock is not to be trusted
    halted: nothing is purged; looks again every minute

A wrong clock would erase dialogs that are not expired, and nothing could bring them back. So `Trust` compares the clock
before every purge:

    while the server runs     with the monotonic clock: they may move apart by 15 minutes between two purges
    at its start              with the last time that the store has recorded as trusted (`TrustedTime`): it may be
                              15 minutes behind or 7 days ahead, because the server may have been stopped for days

A time is recorded as trusted before each purge, never while halted: what a server with a wrong clock writes vouches for
nothing. A server that was stopped for longer looks like one with a wrong clock, and a suspended machine like a jump; an
operator tells them apart (`consentful purge --trust-clock`). The metric `consentful_retention_halted` and `/readyz` say
that retention is halted.

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
from datetime import datetime, timedelta
from typing import Final

from ..archive.archive import Archive
from ..archive.store import DialogStore
from ..clock import Clock, from_micros, to_micros
from ..leases import Leases
from .store import TrustedTime

EVERY_S: Final = 3600.0
AGAIN_S: Final = 60.0
"""How long a halted server waits before it looks at the clock again."""
_JUMP: Final = timedelta(minutes=15)
"""How far the clocks may move apart between two purges; more is a jump."""
_LONGEST_STOP: Final = timedelta(days=7)
"""How far ahead of the last trusted time a clock may be at the start: the longest stop that nobody has to confirm."""

_AT_ONCE: Final = 200
_LEASE: Final = "retention"
_LEASE_LENGTH: Final = timedelta(minutes=5)  # (R2)
"""Many times what a batch takes."""

_log: Final = logging.getLogger("consentful.retention")


class Trust:
    """Tells whether the wall clock can be trusted."""

    def __init__(self, time: TrustedTime, clock: Clock) -> None:
        self._time = time
        self._clock = clock
        self._started = clock.monotonic()
        self._trusted: tuple[datetime, float] | None = None
        """The wall clock and the monotonic clock when they were last trusted here."""

    async def is_given(self) -> bool:
        """Return whether the clock can be trusted now; if so, record that."""
        now, elapsed = self._clock.now(), self._clock.monotonic()
        if not (self._is_steady(now, elapsed) or await self._is_vouched_for(now, elapsed)):
            return False
        await self.give()
        return True

    async def give(self) -> None:
        """Trust the clock as it is now."""
        now = self._clock.now()
        self._trusted = now, self._clock.monotonic()  # small steps are adopted: NTP corrects a clock all the time
        await self._time.trust(to_micros(now))

    async def would_be_given(self) -> bool:
        """Return whether a start would trust the clock now; nothing is recorded."""
        return await self._is_vouched_for(self._clock.now(), self._clock.monotonic())

    async def since(self) -> datetime | None:
        """Return when the clock was last trusted; None if it never was."""
        last = await self._time.last()
        return None if last is None else from_micros(last)

    def _is_steady(self, now: datetime, elapsed: float) -> bool:
        """Return whether both clocks moved alike since they were last trusted here."""
        if self._trusted is None:
            return False
        then, at = self._trusted
        return abs(now - then - timedelta(seconds=elapsed - at)) <= _JUMP

    async def _is_vouched_for(self, now: datetime, elapsed: float) -> bool:
        """Return whether the clock fits the last time that the store recorded as trusted."""
        last = await self.since()
        if last is None:
            return True
        if self._trusted is not None and last == self._trusted[0]:
            return False  # recorded here, before the clock jumped
        # Since the start as much time has passed as the monotonic clock says, whether or not anything was trusted.
        return -_JUMP <= now - last <= _LONGEST_STOP + timedelta(seconds=elapsed - self._started)


class Retention:
    """Purges expired dialogs every hour, and halts while the clock cannot be trusted."""

    def __init__(self, archive: Archive, dialogs: DialogStore, leases: Leases, time: TrustedTime, clock: Clock) -> None:
        self._archive = archive
        self._dialogs = dialogs
        self._leases = leases
        self._holder = secrets.token_hex(8)
        self._clock = clock
        self._trust = Trust(time, clock)
        self._due = clock.monotonic()
        self.is_halted = False

    async def tick(self) -> None:
        """Purge if an hour has passed since the last purge; look at the clock again if it was not trusted."""
        now = self._clock.monotonic()
        if now < self._due:
            return
        self._due = now + AGAIN_S
        was_halted, self.is_halted = self.is_halted, not await self._trust.is_given()
        if self.is_halted:
            await self._report(was_halted)
            return
        if was_halted:
            _log.warning("the clock is trusted again; expired dialogs are purged")
        self._due = now + EVERY_S  # before the purge: one that fails is tried again in an hour
        try:
            if erased := await purge(self._archive, self._dialogs, self._clock, self._has_lease):  # (R1)
                _log.info("purged", extra={"dialogs": erased})
        finally:
            await self._leases.release(_LEASE, self._holder)

    async def _report(self, was_halted: bool) -> None:
        """Log, once, that the purge is halted."""
        if not was_halted:
            _log.error(
                "nothing is purged until the clock is correct; if it is, run `consentful purge --trust-clock`",
                extra={"last_trusted": str(await self._trust.since())},
            )

    async def _has_lease(self) -> bool:
        return await self._leases.take(_LEASE, self._holder, _LEASE_LENGTH)


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
