"""A PostgreSQL database by its address: opened, migrated, or restored from a snapshot.

Commands call some methods outside an event loop, and others inside one. So each of those runs in a loop of its own, on
a thread of its own, while the caller waits.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from ...clock import Clock
from ...privacy.ledger import Ledger
from ..sqlite import backup
from ..steps import Step, log_applied
from ..store import Contents
from ..tables import refuse_moved
from . import destruction, distribution, snapshot
from .address import address_of
from .connection import Connection, connect, explained, first_connection
from .database import Database
from .ledger_length import record
from .migrations import migrate, pending, version
from .store import PostgresStore
from .tables import PostgresTables

T = TypeVar("T")

START_S = 30.0
"""How long a service that starts waits for a server that starts as well, or that fails over."""


class PostgresBackend:
    """The `Backend` of one PostgreSQL database."""

    def __init__(self, url: str, read_url: str = "") -> None:
        self._address = address_of(url)
        self._replica = address_of(read_url) if read_url else None

    @property
    def name(self) -> str:
        return self._address.name

    @property
    def folders(self) -> Sequence[Path]:
        return []

    @property
    def is_shared(self) -> bool:
        return True

    async def open(self, clock: Clock, ledger: Ledger, reserve: int = 0) -> PostgresStore:
        del reserve  # the disk is another machine's
        log_applied(await self._on_a_connection(self._migrate, START_S))
        with explained(self._address):
            database = await Database.open(self._address, clock, lambda db: record(db, ledger), self._replica)
            return PostgresStore(database, clock, ledger)

    def pending(self) -> Sequence[Step]:
        return _wait_for(self._pending()) if self.exists() else []

    def migrate(self) -> Sequence[Step]:
        return _wait_for(self._on_a_connection(self._migrate))

    def distribute(self) -> Sequence[str]:
        _wait_for(self._on_a_connection(lambda db: distribution.distribute(self._address, db)))
        return distribution.STATEMENTS

    async def check_idle(self) -> None:
        await self._on_a_connection(lambda db: destruction.check_idle(db, self.name))

    async def destroy(self) -> int:
        return await self._on_a_connection(destruction.destroy)

    def exists(self) -> bool:
        return _wait_for(self._exists())

    def in_the_way(self) -> Sequence[str]:
        return [self.name] if self.exists() else []

    def contents(self, data: Path) -> Contents:
        return backup.contents(data)

    def restore(self, data: Path, keys: Path) -> None:
        async def restored(db: Connection) -> None:
            await snapshot.restore(self._address, db, data, keys)

        _wait_for(self._on_a_connection(restored))

    async def tables(self, *, new: bool = False) -> PostgresTables:
        if new:
            await self._on_a_connection(migrate)
        return await PostgresTables.open(self._address)

    async def _pending(self) -> Sequence[Step]:
        steps = await self._on_a_connection(pending)
        return [Step(step.number, step.name) for step in steps]

    async def _migrate(self, db: Connection) -> Sequence[Step]:
        with explained(self._address):
            if await version(db):
                facts = {row[0]: row[1] for row in await db.fetch("SELECT name, value FROM facts")}
                refuse_moved(facts, self.name)
            return await migrate(db)

    async def _exists(self) -> bool:
        with explained(self._address):
            try:
                db = await connect(self._address)
            except asyncpg.InvalidCatalogNameError:
                return False
            try:
                return await version(db) > 0
            finally:
                await db.close()

    async def _on_a_connection(self, work: Callable[[Connection], Coroutine[Any, Any, T]], patience_s: float = 0) -> T:
        db = await first_connection(self._address, patience_s)
        try:
            return await work(db)
        finally:
            db.terminate()


def _wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Return the work's result, also where an event loop runs already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
