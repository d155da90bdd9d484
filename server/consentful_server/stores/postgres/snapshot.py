"""Snapshots of a PostgreSQL database, in the two files that a snapshot of any store has: `stores.sqlite.backup`.

So a backup can be restored into either kind of store. Tables and columns have the same names in both; what differs is
here:

    numbers                   the counters of AUTOINCREMENT there
    writers, reading          only here: marks and a lock of running processes

A restore reads the data from a copy that the migrations of that store have brought to its newest schema, so a backup of
an earlier release fits as well. The copy holds no keys and names no customer.
"""

import asyncio
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...errors import BadDatabase
from ..sqlite import backup
from ..sqlite.connection import connect as open_file
from ..sqlite.connection import sqlite3
from ..sqlite.kinds import customer_key
from ..sqlite.migrations import migrate as migrate_file
from ..store import GENERATION
from . import ledger_length
from .address import Address
from .connection import FAILED, Connection, Row, connect
from .database import BEGIN_READ
from .failures import name_of
from .migrations import apply, migrations, version
from .writer import LOCK

if TYPE_CHECKING:
    from sqlite3 import Connection as File
else:
    File = sqlite3.Connection

_AT_ONCE: Final = {"seals": 100}
_ROWS: Final = 5_000
"""Rows that are in memory at a time; the texts of a dialog can take a mebibyte."""
_SERIES: Final = ("dialogs", "erasures")
_THEIRS: Final = frozenset({"sqlite_sequence", "schema_migrations"})
"""Tables of the files that are made by their own rules."""
_GENERATION_BYTES: Final = 8

_FROM_KEYS: Final = {
    ("dialogs", "customer"): "(SELECT c.customer FROM keys.customers c WHERE c.dialog = id)",
    ("dialogs", "receipt"): "(SELECT c.receipt FROM keys.customers c WHERE c.dialog = id)",
    ("messages", "customer"): "customer_key((SELECT c.customer FROM keys.customers c WHERE c.dialog = m.dialog))",
}
"""What a copy of the data has no values for (`backup.BLANK`), from the keys' file."""


async def copy(address: Address, data: Path, keys: Path) -> None:
    """Copy the database as of one moment into two new files.

    No epoch of the master key ends meanwhile; everything else goes on.

    Raises:
        OSError: If a file cannot be written, or the database cannot be read.
    """
    try:
        await _copy(address, data, keys)
    except (sqlite3.Error, *FAILED) as error:
        if isinstance(error, OSError) and error.filename:
            raise
        raise OSError(errno.EIO, name_of(error), str(data)) from None


async def restore(address: Address, db: Connection, data: Path, keys: Path) -> None:
    """Join both files into a new store, in one transaction. Neither file is changed.

    Raises:
        FileExistsError: If the database holds a store.
        BadDatabase: If the files cannot be read or joined.
    """
    with tempfile.TemporaryDirectory(prefix="consentful-restore-") as folder:
        try:
            await _restore(address, db, Path(folder) / "data", data, keys)
        except (sqlite3.Error, *FAILED) as error:
            if isinstance(error, FileExistsError) or (isinstance(error, OSError) and error.filename):
                raise
            raise BadDatabase(
                f"{keys} cannot be joined with {data} ({name_of(error)}); nothing was stored; restore another backup"
            ) from None


async def _copy(address: Address, data: Path, keys: Path) -> None:
    db = await connect(address, is_patient=True)
    try:
        await db.execute(BEGIN_READ)
        if await version(db) > migrations()[-1].number:
            raise BadDatabase("its schema is a later version's, of which this one would leave something out")
        files = await asyncio.to_thread(_new_files, data, keys)
        with closing(files):
            for table in _tables(files):
                await _fill(db, files, f"main.{table}", _selected(files, table), _AT_ONCE.get(table, _ROWS))
            await _fill(db, files, "keys.dialog_keys", "SELECT dialog, wrapped FROM dialog_keys", _ROWS)
            await _fill(db, files, "keys.customers", "SELECT id, customer, receipt FROM dialogs", _ROWS)
            files.execute("DELETE FROM main.sqlite_sequence")  # what the inserted rows have made of it
            await _fill(db, files, "main.sqlite_sequence", "SELECT name, last FROM numbers", _ROWS)
            await asyncio.to_thread(_complete, files)
    finally:
        db.terminate()  # it only read
    for path in (data, keys):
        await asyncio.to_thread(backup.finish, path)


def _new_files(data: Path, keys: Path) -> File:
    """Create both files, empty, with their schemas; return a connection to both, in a transaction."""
    with closing(open_file(data)) as file:
        migrate_file(file)
    with closing(open_file(keys)) as file:
        for table, columns in backup.KEYS.items():
            file.execute(f"CREATE TABLE {table} {columns}")
    files = open_file(data)
    files.execute("ATTACH ? AS keys", (str(keys),))
    files.execute("BEGIN")
    for table in _tables(files):
        files.execute(f"DELETE FROM main.{table}")
    return files


def _complete(files: File) -> None:
    files.execute("INSERT INTO main.facts VALUES (?, x'')", (backup.INCOMPLETE,))
    files.execute("COMMIT")


def _tables(files: File) -> list[str]:
    """Return the tables that a snapshot's data have rows in, and that both kinds of store have."""
    return [table for table in backup.table_names(files) if table not in backup.LEFT_OUT | _THEIRS]


def _selected(files: File, table: str) -> str:
    """Return the statement that reads a table's columns, in the order of the file's."""
    columns = [(it, backup.BLANK.get((table, it), f'"{it}"')) for it in backup.column_names(files, table)]
    return f"SELECT {', '.join(value for _, value in columns)} FROM {table}"


async def _fill(db: Connection, files: File, table: str, sql: str, at_once: int) -> None:
    """Copy the rows of a statement into a table of the files."""
    # A name for each table: asyncpg keeps what it learnt of a statement, and the columns of the next one are others.
    cursor = f"rows_of_{table.replace('.', '_')}"
    await db.execute(f"DECLARE {cursor} NO SCROLL CURSOR FOR {sql}")
    while rows := await db.fetch(f"FETCH {at_once} FROM {cursor}"):
        await asyncio.to_thread(_insert, files, table, rows)
    await db.execute(f"CLOSE {cursor}")


def _insert(files: File, table: str, rows: Sequence[Row]) -> None:
    places = ", ".join("?" * len(rows[0]))
    files.executemany(f"INSERT INTO {table} VALUES ({places})", [tuple(row) for row in rows])


async def _restore(address: Address, db: Connection, work: Path, data: Path, keys: Path) -> None:
    await db.execute(f"BEGIN; {LOCK}")
    if await version(db):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), address.name)
    await apply(db)
    await db.execute("DELETE FROM access_head")  # the only row that a new store has, and a snapshot, too
    with closing(await asyncio.to_thread(_joined, work, data, keys)) as files:
        names_customers = "customers" in _attached(files)
        for table in _tables(files):
            rows = _reading(files, table, names_customers=names_customers)
            await _store(db, table, backup.column_names(files, table), rows)
        await _store(db, "dialog_keys", ["dialog", "wrapped"], _blocks(files, "SELECT * FROM keys.dialog_keys"))
        for series, last in files.execute("SELECT name, seq FROM main.sqlite_sequence").fetchall():
            if series in _SERIES:
                await db.execute("UPDATE numbers SET last = $2 WHERE name = $1", series, last)
    await db.execute("DELETE FROM facts WHERE name = ANY($1::text[])", [backup.INCOMPLETE, GENERATION])
    await ledger_length.replace(db, {})  # the ledgers beside a restored store may be those of the backup
    await db.execute("INSERT INTO facts VALUES ($1, $2)", GENERATION, os.urandom(_GENERATION_BYTES))
    await db.execute("SELECT setval(pg_get_serial_sequence('kinds', 'id'), max(id)) FROM kinds HAVING max(id) > 0")
    await db.execute("COMMIT; ANALYZE")


def _joined(work: Path, data: Path, keys: Path) -> File:
    """Return a connection to a copy of the data at the newest schema, and to the keys."""
    shutil.copyfile(data, work)
    with closing(open_file(work)) as file:
        migrate_file(file)
    files = sqlite3.connect(f"{work.as_uri()}?mode=ro", uri=True, check_same_thread=False)
    files.create_function("customer_key", 1, customer_key, deterministic=True)
    files.execute("ATTACH ? AS keys", (f"{keys.absolute().as_uri()}?mode=ro&immutable=1",))
    return files


def _attached(files: File) -> list[str]:
    return [row[0] for row in files.execute("SELECT name FROM keys.sqlite_schema WHERE type = 'table'")]


def _reading(files: File, table: str, *, names_customers: bool) -> Iterator[Sequence[Row]]:
    names = [(table, column) for column in backup.column_names(files, table)]
    values = [_FROM_KEYS.get(it, it[1]) if names_customers else it[1] for it in names]
    return _blocks(files, f"SELECT {', '.join(values)} FROM main.{table} m", _AT_ONCE.get(table, _ROWS))


def _blocks(files: File, sql: str, at_once: int = _ROWS) -> Iterator[Sequence[Row]]:
    found = files.execute(sql)
    while rows := found.fetchmany(at_once):
        yield rows


async def _store(db: Connection, table: str, names: Sequence[str], blocks: Iterator[Sequence[Row]]) -> None:
    while rows := await asyncio.to_thread(next, blocks, ()):
        await db.copy_records_to_table(table, records=rows, columns=names)
