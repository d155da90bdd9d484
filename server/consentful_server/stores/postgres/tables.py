"""The tables of a PostgreSQL database, for a move.

A fence is a trigger on each table. It holds for servers that were connected before: PostgreSQL looks a table's triggers
up in each statement, and creating one waits for the transactions that write.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final

import asyncpg

from ...errors import BadDatabase
from ..tables import AT_ONCE, BY_DIALOG, KEYS, NOT_MOVED, ROWS, Row, selected
from .address import Address
from .connection import FAILED, Connection, first_connection
from .failures import name_of
from .migrations import migrations, version
from .writer import LOCK

_OWN: Final = frozenset({"schema_migrations", "numbers", "writers", "reading"})
_TABLES: Final = (
    "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
)
_COLUMNS: Final = "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped"
_FENCE: Final = (
    "CREATE OR REPLACE FUNCTION refuse_moved() RETURNS trigger LANGUAGE plpgsql AS $$"
    " BEGIN RAISE EXCEPTION 'the data were moved'; END $$"
)


class PostgresTables:
    """The `Tables` of one PostgreSQL database."""

    def __init__(self, address: Address, db: Connection) -> None:
        self.name = address.name
        self._db = db
        self._cursors = 0

    @classmethod
    async def open(cls, address: Address) -> "PostgresTables":
        """Return the tables of a database whose schema is this program's.

        Raises:
            BadDatabase: If it cannot be opened, or has another schema.
        """
        db = await first_connection(address)
        done = await version(db)
        if done != (newest := migrations()[-1].number):
            await db.close()
            raise BadDatabase(
                f"{address.name} has schema {done}, and this program moves schema {newest} alone; "
                "run `consentful migrate` there with this version first, or install the one that wrote it"
            )
        await db.execute("SET idle_in_transaction_session_timeout = 0")  # while the other store is written
        return cls(address, db)

    def transaction(self) -> AbstractAsyncContextManager[None]:
        return self._within("BEGIN ISOLATION LEVEL REPEATABLE READ")

    def exclusively(self) -> AbstractAsyncContextManager[None]:
        return self._within(f"BEGIN; {LOCK}")

    @asynccontextmanager
    async def _within(self, begin: str) -> AsyncGenerator[None]:
        try:
            await self._db.execute(begin)
            try:
                yield
            except BaseException:
                if not self._db.is_closed():
                    await self._db.execute("ROLLBACK")
                raise
            if await self._db.execute("COMMIT") != "COMMIT":
                raise asyncpg.InternalClientError("rolled back")
        except FAILED as error:
            if isinstance(error, OSError) and error.filename:
                raise
            raise BadDatabase(f"{self.name} failed ({name_of(error)}); mend that, and run it again") from None

    async def columns(self) -> Mapping[str, Sequence[str]]:
        names = {row[0] for row in await self._db.fetch(_TABLES)} - _OWN - NOT_MOVED
        return {name: sorted(row[0] for row in await self._db.fetch(_COLUMNS, name)) for name in sorted(names)}

    async def facts(self) -> dict[str, bytes]:
        return {row[0]: row[1] for row in await self._db.fetch("SELECT name, value FROM facts")}

    async def state(self, name: str, value: bytes, instead_of: bytes | None = None) -> bool:
        if instead_of is not None:
            sql = "UPDATE facts SET value = $1 WHERE name = $2 AND value = $3"
            return await self._db.execute(sql, value, name, instead_of) == "UPDATE 1"
        sql = "INSERT INTO facts VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        await self._db.execute(sql, name, value)
        return True

    async def unstate(self, name: str) -> None:
        await self._db.execute("DELETE FROM facts WHERE name = $1", name)

    async def last(self) -> tuple[int, int]:
        entry = await self._db.fetchval("SELECT coalesce(max(number), 0) FROM access_log")
        return dict(await self.series()).get("dialogs", 0), entry

    async def series(self) -> list[tuple[str, int]]:
        return [(name, last) for name, last in await self._db.fetch("SELECT name, last FROM numbers")]

    async def go_on(self, series: Sequence[tuple[str, int]]) -> None:
        for name, last in series:
            await self._db.execute("UPDATE numbers SET last = $2 WHERE name = $1", name, last)
        # An identity column does not know of rows that brought their own numbers.
        await self._db.execute(
            "SELECT setval(pg_get_serial_sequence('kinds', 'id'), max(id)) FROM kinds HAVING max(id) > 0"
        )

    async def rows(
        self, table: str, columns: Sequence[str], within: tuple[int, int] | None = None
    ) -> AsyncIterator[list[Row]]:
        # A name for each: asyncpg keeps what it learnt of a statement, and the columns of the next one are others.
        self._cursors += 1
        cursor = f"rows_{self._cursors}"
        await self._db.execute(f"DECLARE {cursor} NO SCROLL CURSOR FOR {selected(table, columns, within)}")
        while rows := await self._db.fetch(f"FETCH {AT_ONCE.get(table, ROWS)} FROM {cursor}"):
            yield [tuple(row) for row in rows]
        await self._db.execute(f"CLOSE {cursor}")

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        await self._db.copy_records_to_table(table, records=rows, columns=columns)

    async def delete_dialogs(self, numbers: Sequence[int]) -> None:
        kinds = (
            "DELETE FROM dialog_kinds k USING (SELECT DISTINCT kind, dialog FROM messages"
            " WHERE dialog = ANY($1::bigint[])) m WHERE k.kind = m.kind AND k.dialog = m.dialog"
        )
        await self._db.execute(kinds, numbers)
        for table, column in BY_DIALOG.items():
            if table != "dialog_kinds":
                await self._db.execute(f"DELETE FROM {table} WHERE {column} = ANY($1::bigint[])", numbers)

    async def clear(self, table: str, beside: Sequence[str] = ()) -> None:
        if beside:
            await self._db.execute(f"DELETE FROM {table} WHERE name != ALL($1::text[])", beside)
        else:
            await self._db.execute(f"DELETE FROM {table}")

    async def fence(self) -> None:
        await self._db.execute(_FENCE)
        for (table,) in await self._db.fetch(_TABLES):
            await self._db.execute(
                f"CREATE OR REPLACE TRIGGER moved BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION refuse_moved()"
            )

    async def destroy_keys(self, nothing: bytes) -> int:
        await self._db.execute(f"DROP TRIGGER IF EXISTS moved ON {KEYS}")
        done = await self._db.execute(f"UPDATE {KEYS} SET wrapped = $1 WHERE wrapped != $1", nothing)
        return int(done.rpartition(" ")[2])

    async def close(self) -> None:
        with suppress(*FAILED):
            await self._db.close()
