"""Retention: what is past the time that its notice promised is erased, without anybody asking (GDPR art. 5(1)(e))."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from ..archive.archive import Archive
from ..archive.store import DialogStore
from ..clock import Clock, to_micros
from ..errors import NotFound
from ..leases import Leases

EVERY_S: Final = 3600.0
_JUMP_S: Final = 900.0
"""How far the wall clock may part from the steady one between two purges: more is a jump, and would erase at random."""

_AT_ONCE: Final = 200
_LEASE: Final = "retention"
_LEASE_LENGTH: Final = timedelta(minutes=5)
"""Many times what a batch takes; after a crash another process goes on that much later."""

_log: Final = logging.getLogger("consentful.retention")


class Retention:
    """Erases expired dialogs every hour; when the clock jumps it halts, until somebody starts the server anew.

    Of many processes one purges at a time.
    """

    def __init__(self, archive: Archive, dialogs: DialogStore, leases: Leases, clock: Clock) -> None:
        self._archive = archive
        self._dialogs = dialogs
        self._leases = leases
        self._holder = secrets.token_hex(8)
        self._clock = clock
        self._due = clock.monotonic()
        self._offset = self._wall_less_steady()
        self.is_halted = False

    async def tick(self) -> None:
        """Purge, if an hour has passed since the last time."""
        now = self._clock.monotonic()
        if self.is_halted or now < self._due:
            return
        self._due = now + EVERY_S
        if abs(self._wall_less_steady() - self._offset) > _JUMP_S:
            self.is_halted = True
            _log.error("the clock jumped; nothing is purged until the clock is right and the server is started again")
            return
        self._offset = self._wall_less_steady()
        try:
            if erased := await purge(self._archive, self._dialogs, self._clock, self._is_mine):
                _log.info("purged", extra={"dialogs": erased})
        finally:
            await self._leases.release(_LEASE, self._holder)

    async def _is_mine(self) -> bool:
        return await self._leases.take(_LEASE, self._holder, _LEASE_LENGTH)

    def _wall_less_steady(self) -> float:
        return to_micros(self._clock.now()) / 1_000_000 - self._clock.monotonic()


async def _always() -> bool:
    return True


async def purge(
    archive: Archive, dialogs: DialogStore, clock: Clock, may_go_on: Callable[[], Awaitable[bool]] = _always
) -> int:
    """Erase every dialog whose time is over; return how many those were. It is asked before each batch."""
    erased = 0
    while await may_go_on() and (expired := await dialogs.expired(to_micros(clock.now()), _AT_ONCE)):
        outcomes = await asyncio.gather(
            *(archive.erase(dialog_id, "expired") for dialog_id in expired), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, NotFound):  # another process was quicker
                continue
            if isinstance(outcome, BaseException):
                raise outcome
            erased += 1
    return erased
