"""The tables of an SQLite file, for a move.

Threads: each call runs in a worker thread, one at a time. It closes its cursor there: a cursor that is collected later,
by another thread, resets the statement that the next call has taken from the connection's cache, in the midst of it.

A fence is a trigger on each table, for each kind of change: SQLite checks it inside the statement, so it holds for
servers that opened the file before. It does not reach `sqlite_sequence`, which no fenced statement gets to.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Final

from ...errors import BadDatabase
from ..tables import AT_ONCE, BY_DIALOG, KEYS, NOT_MOVED, ROWS, Row, listed, selected
from . import backup
from .connection import connect, sqlite3
from .migrations import migrations, version

_OWN: Final = frozenset({"sqlite_sequence", "schema_migrations"})
_CHANGES: Final = ("INSERT", "UPDATE", "DELETE")
_LONG_WAIT_MS: Final = 60_000


class SQLiteTables:
    """The `Tables` of one SQLite file."""

    def __init__(self, path: Path) -> None:
        """Open the file, whose schema is this program's.

        Raises:
            BadDatabase: If it cannot be opened, or has another schema.
        """
        self.name = str(path.absolute())
        try:
            self._db = connect(path)
            self._db.execute(f"PRAGMA busy_timeout = {_LONG_WAIT_MS}")  # a busy server commits all the time
            done = version(self._db)
        except sqlite3.DatabaseError as error:
            raise BadDatabase(f"{path} is no database of Consentful ({_name_of(error)})") from None
        if done != (newest := migrations()[-1].number):
            raise BadDatabase(
                f"{path} has schema {done}, and this program moves schema {newest} alone; "
                "run `consentful migrate` there with this version first, or install the one that wrote it"
            )

    def transaction(self) -> AbstractAsyncContextManager[None]:
        return self._within("BEGIN")

    def exclusively(self) -> AbstractAsyncContextManager[None]:
        return self._within("BEGIN IMMEDIATE")

    @asynccontextmanager
    async def _within(self, begin: str) -> AsyncGenerator[None]:
        try:
            await self._run(begin)
            try:
                yield
            except BaseException:
                if self._db.in_transaction:  # SQLite itself rolls back after some errors, as of a full disk
                    await self._run("ROLLBACK")
                raise
            await self._run("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                await self._run("ROLLBACK")
            raise BadDatabase(f"{self.name} failed ({_name_of(error)}); mend that, and run it again") from None

    async def columns(self) -> Mapping[str, Sequence[str]]:
        names = set(backup.table_names(self._db)) - _OWN - NOT_MOVED
        return {name: sorted(backup.column_names(self._db, name)) for name in sorted(names)}

    async def facts(self) -> dict[str, bytes]:
        return dict(self._db.execute("SELECT name, value FROM facts"))

    async def state(self, name: str, value: bytes, instead_of: bytes | None = None) -> bool:
        if instead_of is not None:
            sql = "UPDATE facts SET value = ? WHERE name = ? AND value = ?"
            return self._db.execute(sql, (value, name, instead_of)).rowcount == 1
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
        return True

    async def unstate(self, name: str) -> None:
        self._db.execute("DELETE FROM facts WHERE name = ?", (name,))

    async def last(self) -> tuple[int, int]:
        (entry,) = self._db.execute("SELECT coalesce(max(number), 0) FROM access_log").fetchone()
        return dict(await self.series()).get("dialogs", 0), entry

    async def series(self) -> list[tuple[str, int]]:
        return self._db.execute("SELECT name, seq FROM sqlite_sequence").fetchall()

    async def go_on(self, series: Sequence[tuple[str, int]]) -> None:
        self._db.execute("DELETE FROM sqlite_sequence")  # what the inserted rows have made of it
        self._db.executemany("INSERT INTO sqlite_sequence VALUES (?, ?)", series)

    async def rows(
        self, table: str, columns: Sequence[str], within: tuple[int, int] | None = None
    ) -> AsyncIterator[list[Row]]:
        found = await asyncio.to_thread(self._db.execute, selected(table, columns, within))
        try:
            while rows := await asyncio.to_thread(found.fetchmany, AT_ONCE.get(table, ROWS)):
                yield rows
        finally:
            found.close()

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        sql = f"INSERT INTO {table} ({listed(columns)}) VALUES ({', '.join('?' * len(columns))})"
        await asyncio.to_thread(self._insert, sql, rows)

    def _insert(self, sql: str, rows: Sequence[Row]) -> None:
        self._db.executemany(sql, rows).close()

    async def delete_dialogs(self, numbers: Sequence[int]) -> None:
        await asyncio.to_thread(self._delete_dialogs, [(number,) for number in numbers])

    def _delete_dialogs(self, numbers: Sequence[tuple[int]]) -> None:
        kinds = "DELETE FROM dialog_kinds WHERE dialog = ?1 AND kind IN (SELECT kind FROM messages WHERE dialog = ?1)"
        self._db.executemany(kinds, numbers)
        for table, column in BY_DIALOG.items():
            if table != "dialog_kinds":
                self._db.executemany(f"DELETE FROM {table} WHERE {column} = ?", numbers)

    async def clear(self, table: str, beside: Sequence[str] = ()) -> None:
        where = f" WHERE name NOT IN ({', '.join('?' * len(beside))})" if beside else ""
        await self._run(f"DELETE FROM {table}{where}", *beside)

    async def fence(self) -> None:
        for table in set(backup.table_names(self._db)) - {"sqlite_sequence"}:
            for change in _CHANGES:
                self._db.execute(
                    f"CREATE TRIGGER IF NOT EXISTS moved_{change.lower()}_{table} BEFORE {change} ON {table}"
                    " BEGIN SELECT raise(ABORT, 'the data were moved'); END"
                )

    async def destroy_keys(self, nothing: bytes) -> int:
        self._db.execute(f"DROP TRIGGER IF EXISTS moved_update_{KEYS}")
        sql = f"UPDATE {KEYS} SET wrapped = ? WHERE wrapped != ?"
        return await self._run(sql, nothing, nothing)

    async def close(self) -> None:
        await self._run("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()

    async def _run(self, sql: str, *values: object) -> int:
        """Run a statement in a worker thread; return how many rows it changed."""
        return await asyncio.to_thread(self._changed, sql, values)

    def _changed(self, sql: str, values: Sequence[object]) -> int:
        with closing(self._db.execute(sql, values)) as cursor:
            return cursor.rowcount


def _name_of(error: sqlite3.Error) -> str:
    """Return the error's name in SQLite; its text could quote a value. Errors of the driver have none."""
    return getattr(error, "sqlite_errorname", type(error).__name__)
