"""One SQLite database: a writer that commits in groups, and readers with connections of their own."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from ...clock import Clock
from .connection import SQLiteConnection, open_connection, sqlite3
from .reserve import Reserve
from .writer import Writer

T = TypeVar("T")

READERS: Final = 4


class Database:
    """Runs work on the right connection; a read's transaction ends with the call."""

    def __init__(self, writer: Writer, readers: Sequence[SQLiteConnection]) -> None:
        self.writer = writer
        self._readers = readers
        self._idle: asyncio.LifoQueue[SQLiteConnection] = asyncio.LifoQueue()
        for connection in readers:
            self._idle.put_nowait(connection)

    @classmethod
    async def open(
        cls, path: Path, clock: Clock, before_commit: Callable[[], None], reserve: Reserve | None
    ) -> "Database":
        writer = await Writer.open(path, clock, before_commit, reserve)
        return cls(writer, [await open_connection(path, read_only=True) for _ in range(READERS)])

    async def close(self) -> None:
        await self.writer.close()
        for connection in self._readers:
            await connection.close()

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what the work returned; all that it read was there at one moment."""
        connection = await self._idle.get()
        try:
            return await connection.run(lambda db: _in_snapshot(db, work))
        finally:
            self._idle.put_nowait(connection)


def _in_snapshot(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run reads that must agree with each other; the transaction ends with the call, and holds up no truncation."""
    db.execute("BEGIN")
    try:
        return work(db)
    finally:
        db.execute("ROLLBACK")
