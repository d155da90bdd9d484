"""A replica, from which lists and statistics are read, so that exports leave the primary alone.

What a replica has is a moment old. So only what may be is read there, and of each page the primary confirms the
dialogs before they are opened:

    replica                                    primary
    the rows of a page, and their seals ─────► the dialogs' purposes and wrapped keys, in a read (`Database`, R1)
                                               all stored, under the same purposes ──► opened with the primary's keys
                                               one erased or narrowed ──► the page is read at the primary instead

    usable ──a read fails, or the newest mark is older than `MOST_LAG`──► avoided ──`PAUSE_S`──► usable

While it is avoided, everything is read at the primary. A look-up of one dialog, an erasure, a disclosure and the access
log never come from a replica, nor does a key.

Races, and the line that closes each:

(R1) A dialog is erased, and the replica has it still: the primary is asked after the replica was read, so an erasure
     that was answered before is seen. A key is only ever read at the primary, where an erasure has overwritten it.
(R2) A walk began at the primary, or when another replica was ahead of this one: below a horizon that the replica has
     not reached, rows may be missing, and the walk would never see them. It goes on at the primary.
(R3) The replica was put back, or is another database's: it is avoided. Its deployment is not the primary's.
"""

import logging
import math
import ssl
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, TypeVar, cast

import asyncpg

from ...clock import Clock, to_micros
from ...errors import BadSetting
from ...keys.roots import DEPLOYMENT
from .address import Address
from .connection import FAILED, Connection, open_connection, options
from .failures import told
from .pool import Pool, leave_as_it_is

T = TypeVar("T")

PAUSE_S: Final = 10.0
"""How long a replica is avoided after a read that failed."""

MOST_LAG: Final = timedelta(seconds=90)
"""Every process marks the primary every 30 s at least, when it renews its claim of a ledger."""

_READERS: Final = 8
_COMMAND_S: Final = 10.0
"""How long a statement may take before the primary is asked."""

_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_STATE: Final = (
    "SELECT (SELECT last FROM numbers WHERE name = 'dialogs'), (SELECT max(at) FROM writers),"
    " (SELECT value FROM facts WHERE name = $1)"
)

_log: Final = logging.getLogger("consentful.store")


class Replica:
    """Reads at a replica what may be a moment old."""

    def __init__(self, address: Address, pool: Pool, clock: Clock) -> None:
        self.address = address
        self.deployment: bytes | None = None
        """The primary's; set when it is known."""
        self._pool = pool
        self._clock = clock
        self._avoided_until = -math.inf
        self.is_avoided = False
        """Whether the last read failed. While nobody reads, this tells of a read that may be long ago."""

    @classmethod
    async def open(cls, address: Address, clock: Clock) -> "Replica":
        """Return a replica. One that cannot be reached yet is avoided for now.

        Raises:
            BadSetting: If its URL is none that asyncpg understands.
        """
        given: dict[str, Any] = options(address) | {"command_timeout": _COMMAND_S}
        pool = await asyncpg.create_pool(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            **given, min_size=0, max_size=_READERS, reset=leave_as_it_is, connect=open_connection
        )
        replica = cls(address, cast("Pool", pool), clock)
        await replica._reach()
        return replica

    async def read(self, work: Callable[[Connection], Awaitable[T]], horizon: int | None = None) -> T | None:
        """Return what `work` returns, in one snapshot; None if the primary must be asked.

        With a horizon, the snapshot has everything below it.
        """
        if self._clock.monotonic() < self._avoided_until:
            return None
        try:
            async with self._pool.acquire(timeout=None) as db:
                return await self._in_snapshot(db, work, horizon)
        except FAILED as error:
            self._avoid("a read failed", error)
            return None

    def close(self) -> None:
        """End every connection. What still reads is ended with it."""
        self._pool.terminate()

    async def _reach(self) -> None:
        try:
            async with self._pool.acquire(timeout=None):
                pass
        except ssl.SSLError as error:  # a certificate that does not fit is a ValueError as well
            self._avoid("it cannot be reached", error)
        except (asyncpg.exceptions.ClientConfigurationError, ValueError):
            self.close()
            raise BadSetting("read_database", "must be postgresql://user@host:5432/database; this URL is not") from None
        except FAILED as error:
            self._avoid("it cannot be reached", error)

    async def _in_snapshot(
        self, db: Connection, work: Callable[[Connection], Awaitable[T]], horizon: int | None
    ) -> T | None:
        await db.execute(_BEGIN)
        try:
            row = await db.fetchrow(_STATE, DEPLOYMENT)
            assert row is not None
            last, marked_at, deployment = row
            if deployment != self.deployment:  # (R3)
                self._avoid("it is not this database's")
                return None
            if to_micros(self._clock.now() - MOST_LAG) > (marked_at or 0):
                self._avoid("it is too far behind")
                return None
            self.is_avoided = False
            if horizon is not None and last < horizon:  # (R2)
                return None
            return await work(db)
        finally:
            if not db.is_closed():
                await db.execute("ROLLBACK")

    def _avoid(self, why: str, error: BaseException | None = None) -> None:
        self._avoided_until = self._clock.monotonic() + PAUSE_S
        self.is_avoided = True
        details = {"why": why, "replica": self.address.name} | (told(error) if error else {})
        _log.warning("the read replica is avoided; reading from the primary", extra=details)
