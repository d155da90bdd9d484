"""Checkpoints beside the writer: what is committed moves from the write-ahead log (WAL) into the database meanwhile.

SQLite does this inside a COMMIT once the WAL has `wal_autocheckpoint` pages: thousands of pages are written and synced
while every dialog that was granted since waits. A passive checkpoint on a connection of its own delays nobody: it waits
for no lock, and the writer appends meanwhile. Once all of the WAL is moved, the writer starts it again from its
beginning. Where commits outrun the checkpoints, the WAL gets that long, and SQLite moves what little is left.

    jobs are committed ──every `_JOBS`──► look ──less than `_FRAMES` to move──► nothing
                                            └──► checkpoint ──► moved, as far as no reader needs the WAL

Durability is the WAL's, and does not depend on this: a checkpoint that fails is done later, by this or by SQLite.

Threads: `after` and `close` run on the event loop, a look and its checkpoint on the connection's thread.

(R1) The writer wants to truncate the WAL for an erasure: SQLite would refuse at once while a checkpoint runs, and the
     erasure would be answered as not clean. So a checkpoint and a truncation have `turn` one after the other.
"""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from .connection import SQLiteConnection, open_connection, sqlite3

_JOBS: Final = 50
"""A job alone writes about 20 pages; a job among many, 5."""
_FRAMES: Final = 1_000
"""Frames of the WAL (a page each) that are worth the two fsyncs of a checkpoint."""


class Checkpoints:
    """The checkpoints of one database by this process, at most one at a time."""

    def __init__(self, connection: SQLiteConnection) -> None:
        self._connection = connection
        self._jobs = 0
        self._looking: asyncio.Task[None] | None = None
        self.turn = threading.Lock()
        """Who holds it has no checkpoint of this process beside it."""

    @classmethod
    async def open(cls, path: Path) -> "Checkpoints":
        return cls(await open_connection(path))

    def after(self, jobs: int) -> None:
        """Note that so many jobs were committed. Begins to look after the WAL if that is due, and returns."""
        self._jobs += jobs
        if self._jobs >= _JOBS and (self._looking is None or self._looking.done()):
            self._jobs = 0
            self._looking = asyncio.create_task(self._connection.run(self._look), name="consentful-checkpoint")

    async def close(self) -> None:
        """Finish a checkpoint that runs, then close the connection."""
        if self._looking is not None:
            await self._looking
        await self._connection.close()

    def _look(self, db: sqlite3.Connection) -> None:
        with suppress(sqlite3.Error):
            _, frames, moved = db.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
            if frames - moved >= _FRAMES:
                with self.turn:  # (R1)
                    db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
