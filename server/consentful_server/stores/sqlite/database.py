"""One SQLite database: one writer that commits in groups, and four readers with a connection and a thread each.

A reader's connection is in one of two places: in `_idle`, or taken by one call. The queue is LIFO, so that the
connection whose page cache is warm is taken first. A call runs BEGIN, the work and ROLLBACK as one piece of work on the
connection's thread: no transaction is open while the event loop runs other tasks.

`read` is for work of any length, `look_up` for what reads a few rows. All readers but one are for both, so that the
look-up of a key or a dialog never waits for lists, however many of them there are.

Races, and the line that closes each:

(R1) A writer commits while a reader works: the reader's transaction is a snapshot, so everything it reads was stored at
     one moment.
(R2) An erasure wants to truncate the write-ahead log while a reader uses it: a read lasts as long as one page or block,
     then its ROLLBACK frees the log. Until then the erasure is answered as not clean.
(R3) The task that reads is cancelled while the connection's thread still works: the work has a future of its own, and
     the connection goes back to `_idle` when that ends. Otherwise look-ups would be given a connection that is busy.
(R4) `close` while reads are queued: each connection finishes its queue first. The caller has stopped serving before.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from ...clock import Clock
from .connection import SQLiteConnection, open_connection, sqlite3
from .reserve import Reserve
from .writer import BeforeCommit, Writer

T = TypeVar("T")

READERS: Final = 4


class Database:
    """Runs each piece of work on a suitable connection."""

    def __init__(self, writer: Writer, readers: Sequence[SQLiteConnection]) -> None:
        self.writer = writer
        self._readers = readers
        self._long = asyncio.Semaphore(len(readers) - 1)
        self._idle: asyncio.LifoQueue[SQLiteConnection] = asyncio.LifoQueue()
        for connection in readers:
            self._idle.put_nowait(connection)

    @classmethod
    async def open(cls, path: Path, clock: Clock, before_commit: BeforeCommit, reserve: Reserve | None) -> "Database":
        """Open the writer and the readers; `before_commit` and `reserve` are the writer's."""
        writer = await Writer.open(path, clock, before_commit, reserve)
        return cls(writer, [await open_connection(path, read_only=True) for _ in range(READERS)])

    async def close(self) -> None:
        """Commit the waiting jobs, finish the queued reads, and close every connection."""
        await self.writer.close()
        for connection in self._readers:
            await connection.close()  # (R4)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` returns; all that it reads was stored at one moment."""
        await self._long.acquire()
        try:
            connection = await self._idle.get()
        except BaseException:
            self._long.release()
            raise

        def free(_: object) -> None:
            self._idle.put_nowait(connection)
            self._long.release()

        return await _run(connection, work, free)

    async def look_up(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` returns, as `read` does. It reads a few rows, and does not wait for long reads."""
        connection = await self._idle.get()
        return await _run(connection, work, lambda _: self._idle.put_nowait(connection))


async def _run(
    connection: SQLiteConnection, work: Callable[[sqlite3.Connection], T], free: Callable[[object], None]
) -> T:
    """Return what `work` returns; `free` is called when it has ended, also if the caller is cancelled before."""
    running = connection.begin(lambda db: _in_snapshot(db, work))
    running.add_done_callback(free)  # (R3)
    return await asyncio.shield(running)


def _in_snapshot(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run the work in a read transaction, which ends with the call."""
    db.execute("BEGIN")  # (R1) the snapshot is taken by the first statement after it
    try:
        return work(db)
    finally:
        db.execute("ROLLBACK")  # (R2)
