"""A connection: one SQLite connection on a thread of its own, driven through aiosqlite.

SQLite 3.51.3 or later, from the `pysqlite3` wheel: earlier ones can corrupt a WAL database with several connections.
"""

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
BUSY_MS: Final = 5000
"""How long a connection waits for another process's transaction."""

# Its debug lines show the parameters of every statement.
logging.getLogger("aiosqlite").setLevel(logging.INFO)


class SQLiteConnection(aiosqlite.Connection):
    """Runs whole pieces of work in one hop to the connection's thread; aiosqlite's own calls take a hop each."""

    async def run(self, work: Callable[["sqlite3.Connection"], T]) -> T:
        """Return what `work` returns, after everything that was asked of this connection before."""
        return await self._execute(lambda: work(self._conn))  # pyright: ignore[reportUnknownMemberType]


async def open_connection(path: Path, *, read_only: bool = False) -> SQLiteConnection:
    """Return a connection to the database. Its thread does not outlive the process's main thread."""
    connection = SQLiteConnection(lambda: connect(path, read_only=read_only), 64)
    connection._thread.daemon = True  # pyright: ignore[reportPrivateUsage] - a crash must not hang in a join
    await connection
    return connection


def connect(path: Path, *, read_only: bool = False) -> "sqlite3.Connection":
    """Return a connection set up for durability (WAL, `synchronous=FULL`) and for leaving nothing behind.

    `secure_delete` zeroes what is freed, `temp_store` keeps sorts out of temporary files; both are per connection.

    Raises:
        BadDatabase: If this SQLite can corrupt the database.
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
        f"query_only = {'ON' if read_only else 'OFF'}",
    ):
        db.execute(f"PRAGMA {pragma}")
    return db


def refuse_affected(version: tuple[int, ...]) -> None:
    """See that this SQLite does not corrupt WAL databases.

    Raises:
        BadDatabase: If it is older than 3.51.3.
    """
    if version < _OLDEST_SAFE:
        have, need = (".".join(map(str, numbers)) for numbers in (version, _OLDEST_SAFE))
        raise BadDatabase(
            f"SQLite {have} can corrupt a database in WAL mode (the WAL-reset bug, fixed in {need}); "
            "install a newer `pysqlite3`: pip install --upgrade pysqlite3"
        )
