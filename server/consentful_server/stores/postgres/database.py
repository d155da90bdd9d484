"""One PostgreSQL database: one writer that commits in groups, and a pool of connections for reads.

A read is one transaction, whose statements all see the same moment. `read` is for work of any length, `look_up` for
what reads a few rows. All connections but two are for both, so that the look-up of a key or a dialog never waits for
lists, however many of them there are.

Threads: statements run on the event loop. What decrypts runs in a worker thread while the transaction is open.

(R1) An epoch of the master key must not end while a reader still has keys under it: a read shares the lock `reading`,
     from before its snapshot until its rows are decrypted, and `nobody_reads` asks for that lock alone.
(R2) A connection was lost since it was last used: the read begins anew on another one, once. It has changed nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, cast

import asyncpg

from ...clock import Clock
from ...errors import StorageFailed
from ...keys.roots import DEPLOYMENT
from .address import Address
from .connection import FAILED, LOST, Connection, Row, open_connection, options
from .failures import told
from .pool import Pool, leave_as_it_is
from .replica import Replica
from .writer import BeforeCommit, Writer

T = TypeVar("T")

READERS: Final = 8
_FOR_LOOK_UPS: Final = 2
_CLOSE_S: Final = 5.0
_PATIENCE_MS: Final = 250
"""How long `nobody_reads` waits; meanwhile no read begins."""

# One round trip. LOCK TABLE is no query: the snapshot is taken by the first statement after it.
BEGIN_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; LOCK TABLE reading IN ACCESS SHARE MODE"
_BE_ALONE: Final = f"BEGIN; SET LOCAL lock_timeout = {_PATIENCE_MS}; LOCK TABLE reading IN ACCESS EXCLUSIVE MODE"

_log: Final = logging.getLogger("consentful.store")


class Database:
    """Runs each piece of work on a suitable connection."""

    def __init__(self, address: Address, writer: Writer, pool: Pool, replica: Replica | None = None) -> None:
        self.address = address
        self.writer = writer
        self._pool = pool
        self._replica = replica
        self._long = asyncio.Semaphore(READERS - _FOR_LOOK_UPS)

    @classmethod
    async def open(
        cls, address: Address, clock: Clock, before_commit: BeforeCommit, replica: Address | None = None
    ) -> "Database":
        """Open the writer and the readers; `before_commit` is the writer's."""
        writer = await Writer.open(address, clock, before_commit)
        pool = await asyncpg.create_pool(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            **options(address), min_size=1, max_size=READERS, reset=leave_as_it_is, connect=open_connection
        )
        return cls(address, writer, cast("Pool", pool), None if replica is None else await Replica.open(replica, clock))

    async def close(self) -> None:
        """Commit the waiting jobs, finish the reads, and close every connection."""
        await self.writer.close()
        if self._replica is not None:
            self._replica.close()
        try:
            await asyncio.wait_for(self._pool.close(), _CLOSE_S)
        except TimeoutError:
            self._pool.terminate()

    async def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Return what `work` returns; all that it reads was stored at one moment.

        Raises:
            StorageFailed: If the database cannot be read.
        """
        async with self._long:
            return await self.look_up(work)

    async def look_up(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Return what `work` returns, as `read` does. It reads a few rows, and does not wait for long reads."""
        return await self._reliably(lambda db: _in_snapshot(db, work))

    @property
    def is_replica_avoided(self) -> bool:
        """Whether the last read at the replica failed; False without one."""
        return self._replica is not None and self._replica.is_avoided

    async def read_replica(self, work: Callable[[Connection], Awaitable[T]], horizon: int | None = None) -> T | None:
        """Return what `work` reads at the replica, which has all below the horizon; None if the primary must be asked.

        What it returns is a moment old: see `replica` for what that means.
        """
        if self._replica is None:
            return None
        if self._replica.deployment is None:
            self._replica.deployment = await self.fetchval("SELECT value FROM facts WHERE name = $1", DEPLOYMENT)
        return await self._replica.read(work, horizon)

    async def fetch_stale(self, sql: str, *values: Any) -> list[Row]:
        """Return the rows of one statement, from the replica if there is one."""
        rows = await self.read_replica(lambda db: db.fetch(sql, *values))
        return await self.fetch(sql, *values) if rows is None else rows

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        """Return the rows of one statement, which needs no transaction."""
        async with self._long:
            return await self._reliably(lambda db: db.fetch(sql, *values))

    async def fetchrow(self, sql: str, *values: Any) -> Row | None:
        """Return the first row of one statement that reads a few; None if there is none."""
        return await self._reliably(lambda db: db.fetchrow(sql, *values))

    async def fetchval(self, sql: str, *values: Any) -> Any:
        """Return the only value of one statement that reads a few rows."""
        return await self._reliably(lambda db: db.fetchval(sql, *values))

    async def nobody_reads(self) -> bool:
        """Return whether every read that began before this call has ended, in any process."""
        return await self._reliably(_is_alone)

    async def _reliably(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            try:
                return await self._once(work)
            except LOST:  # (R2)
                return await self._once(work)
        except FAILED as error:
            _log.error("read failed", extra=told(error))
            raise StorageFailed from None

    async def _once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._pool.acquire(timeout=None) as db:
            try:
                return await work(db)
            except asyncpg.InternalClientError:
                db.terminate()  # the pool would lend it again, and it would never answer
                raise


async def _in_snapshot(db: Connection, work: Callable[[Connection], Awaitable[T]]) -> T:
    await db.execute(BEGIN_READ)
    try:
        return await work(db)
    finally:
        if not db.is_closed():
            await db.execute("ROLLBACK")  # (R1)


async def _is_alone(db: Connection) -> bool:
    try:
        await db.execute(_BE_ALONE)
    except asyncpg.exceptions.LockNotAvailableError:
        return False
    finally:
        if not db.is_closed():
            await db.execute("ROLLBACK")
    return True
