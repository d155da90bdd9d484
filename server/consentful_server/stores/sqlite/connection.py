"""One SQLite connection on a thread of its own, driven through aiosqlite.

The server needs SQLite 3.51.3 or later, from the `pysqlite3` wheel: earlier versions can corrupt a WAL database that
several connections write to (the WAL-reset bug).

Threads: each connection has one worker thread with a FIFO queue. A piece of work is one entry of the queue, so a
connection never runs two at a time, even if the task that waits for the first was cancelled.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import aiosqlite

from ...errors import BadDatabase

if TYPE_CHECKING:
    import sqlite3
else:
    from pysqlite3 import dbapi2 as sqlite3

__all__ = ["SQLiteConnection", "connect", "sqlite3"]

T = TypeVar("T")

_OLDEST_SAFE: Final = (3, 51, 3)
_READER_CACHE_KIB: Final = 512
"""About what 1,000 messages of 100 characters take. SQLite's default, 2 MB, is what an export fills, on each reader."""
BUSY_MS: Final = 5000
"""How long a connection waits for the transaction of another connection or process."""

# aiosqlite's debug lines show the parameters of every statement, which no log may carry.
logging.getLogger("aiosqlite").setLevel(logging.INFO)


class SQLiteConnection(aiosqlite.Connection):
    """Runs a piece of work in one hop to the connection's thread; aiosqlite's own methods take a hop for each
    statement.
    """

    async def run(self, work: Callable[["sqlite3.Connection"], T]) -> T:
        """Return what `work` returns. It runs after all work that was queued on this connection before.

        If the caller is cancelled, the work still runs, and its result is discarded.
        """
        return await self.begin(work)

    def begin(self, work: Callable[["sqlite3.Connection"], T]) -> "asyncio.Future[T]":
        """Queue the work, and return the future of what it returns. A cancelled future does not stop the work."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if not self._running or self._connection is None:
            raise ValueError("the connection is closed")
        self._tx.put_nowait((future, lambda: work(self._conn)))  # pyright: ignore[reportUnknownMemberType]
        return future


async def open_connection(path: Path, *, read_only: bool = False) -> SQLiteConnection:
    """Return an open connection. Its thread is a daemon: it ends with the process."""
    connection = SQLiteConnection(lambda: connect(path, read_only=read_only), 64)
    connection._thread.daemon = True  # pyright: ignore[reportPrivateUsage] - else a crash waits for the thread
    await connection
    return connection


def connect(path: Path, *, read_only: bool = False) -> "sqlite3.Connection":
    """Return a connection that is durable and leaves no deleted content behind.

        journal_mode = WAL, synchronous = FULL   a commit survives a power cut; NORMAL would lose the last ones
        secure_delete = ON                       deleted content is overwritten with zeros (measured: 0 of 20,000 left)
        temp_store = MEMORY                      sorting writes no temporary file
        wal_autocheckpoint = 4000                pages, about 16 MB of write-ahead log, where `checkpoints` lag behind
        trusted_schema = OFF                     an altered schema cannot call unsafe functions
        query_only                               a reader's connection cannot write
        cache_size                               of a reader: small, because each commit of others empties it

    All of them but `journal_mode` hold for one connection only.

    Raises:
        BadDatabase: If this version of SQLite can corrupt the database.
    """
    refuse_affected(sqlite3.sqlite_version_info)
    db = sqlite3.connect(path, isolation_level=None, cached_statements=256, check_same_thread=False)
    for pragma in (
        f"busy_timeout = {BUSY_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "secure_delete = ON",
        "temp_store = MEMORY",
        "wal_autocheckpoint = 4000",
        "trusted_schema = OFF",
        *(("query_only = ON", f"cache_size = -{_READER_CACHE_KIB}") if read_only else ("query_only = OFF",)),
    ):
        db.execute(f"PRAGMA {pragma}")
    return db


def refuse_affected(version: tuple[int, ...]) -> None:
    """Check that this version of SQLite does not corrupt WAL databases.

    Raises:
        BadDatabase: If it is older than 3.51.3.
    """
    if version < _OLDEST_SAFE:
        have, need = (".".join(map(str, numbers)) for numbers in (version, _OLDEST_SAFE))
        raise BadDatabase(
            f"SQLite {have} can corrupt a database in WAL mode (the WAL-reset bug, fixed in {need}); "
            "install a newer `pysqlite3`: pip install --upgrade pysqlite3"
        )
