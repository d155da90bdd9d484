"""The tables of an SQLite file: what runs in a worker thread leaves nothing to another thread."""

from pathlib import Path
from typing import Any

import pytest

from consentful_server.clock import SystemClock
from consentful_server.stores.sqlite.connection import sqlite3
from consentful_server.stores.sqlite.tables import SQLiteTables
from sealed import open_store


class Recorded:
    """A connection that remembers the cursors it returned."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.cursors: list[Any] = []

    def execute(self, *given: Any) -> Any:
        return self._remembered(self._db.execute(*given))

    def executemany(self, *given: Any) -> Any:
        return self._remembered(self._db.executemany(*given))

    def _remembered(self, cursor: Any) -> Any:
        self.cursors.append(cursor)
        return cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


async def test_no_cursor_outlives_the_call_that_used_it(tmp_path: Path) -> None:
    """One that is collected by another thread resets the statement that the next call has taken from the cache."""
    await (await open_store(tmp_path / "test.db", SystemClock())).close()
    tables = SQLiteTables(tmp_path / "test.db")
    recorded = tables._db = Recorded(tables._db)  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]

    async with tables.transaction():
        await tables.insert("seals", ["dialog", "customer", "texts"], [(1, b"c", b"t"), (2, b"c", b"t")])
        assert [len(rows) async for rows in tables.rows("seals", ["dialog"])] == [2]
        await tables.clear("seals")
    await tables.close()

    assert len(recorded.cursors) == 6
    for cursor in recorded.cursors:
        with pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
            cursor.fetchone()
