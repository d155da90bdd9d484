"""Snapshots of a database: the dialogs' keys in one file, everything else in another, and the way back.

The two files are separate so that a backup of the data can be kept for years and opens nothing: only the keys beside
it, which live for one epoch, make it readable. What names a customer goes with the keys: the pseudonym, the receipt
that states it, and the number that an index computes of it. So a copy of the data tells nothing of an erased customer.
"""

import errno
import os
import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from ...errors import BadDatabase
from ...keys.files import sync_folder
from ..store import GENERATION, Contents
from . import ledger_length
from .connection import connect, sqlite3
from .kinds import customer_key
from .leftovers import unfinished
from .migrations import migrate

KEYS: Final = {
    "dialog_keys": "(dialog INTEGER PRIMARY KEY, wrapped BLOB NOT NULL) STRICT",
    "customers": "(dialog INTEGER PRIMARY KEY, customer TEXT NOT NULL, receipt TEXT NOT NULL) STRICT",
}
"""The tables of the keys' file. An earlier release's has only the first."""

INCOMPLETE: Final = "without keys"
"""The name of the fact that a copy of the data states until it is joined with its keys."""

LEFT_OUT: Final = frozenset({"dialog_keys", "ending_values", "trusted_time"})
"""Tables that no copy of the data has.

What readers searched for ends with its epoch; a copy would outlive that. The last trusted time of an old copy would
make a correct clock look wrong.
"""

BLANK: Final = {("dialogs", "customer"): "''", ("dialogs", "receipt"): "''", ("messages", "customer"): "0"}
"""Columns that a copy of the data has without their values, which are in the keys' file or are computed again."""


def copy(source: Path, data: Path, keys: Path) -> None:
    """Copy the database as of one moment, with its schema, into two new files.

    The copy holds a read transaction: erasures meanwhile commit, but are answered as not clean until it ends.

    Raises:
        OSError: If a file cannot be written, or the database cannot be read.
    """
    try:
        _copy(source, data, keys)
    except sqlite3.Error as error:
        raise OSError(errno.EIO, error.sqlite_errorname, str(data)) from None


def _copy(source: Path, data: Path, keys: Path) -> None:
    # First the schema, then the rows: `ATTACH` and one transaction copy them all as of one moment.
    with closing(connect(data)) as db:
        migrate(db)
    with closing(connect(source)) as db:
        db.execute("ATTACH ? AS copy", (str(data),))
        db.execute("ATTACH ? AS keys", (str(keys),))
        db.execute("BEGIN")
        for table in table_names(db):
            if table not in LEFT_OUT:
                db.execute(f"DELETE FROM copy.{table}")
                columns = column_names(db, table)
                values = ", ".join(BLANK.get((table, column), column) for column in columns)
                db.execute(f"INSERT INTO copy.{table} ({', '.join(columns)}) SELECT {values} FROM main.{table}")
        for table, columns in KEYS.items():
            db.execute(f"CREATE TABLE keys.{table} {columns}")
        db.execute("INSERT INTO keys.dialog_keys SELECT * FROM main.dialog_keys")
        db.execute("INSERT INTO keys.customers SELECT id, customer, receipt FROM main.dialogs")
        db.execute("INSERT INTO copy.facts VALUES (?, x'')", (INCOMPLETE,))
        db.execute("COMMIT")
    finish(data)
    finish(keys)


def contents(data: Path) -> Contents:
    """Read the facts and epochs from a copy of the data, without changing the file.

    Raises:
        BadDatabase: If this program cannot read it.
    """
    try:
        with closing(read_only(data)) as db:
            facts = dict(db.execute("SELECT name, value FROM facts"))
            emptied = [row[0] for row in db.execute("SELECT number FROM epochs WHERE emptied_at IS NOT NULL")]
    except sqlite3.DatabaseError:
        raise BadDatabase(f"{data} is not a data backup that this program reads; nothing was changed") from None
    return Contents(facts, emptied)


def facts_of(db: "sqlite3.Connection") -> dict[str, bytes]:
    """Return the facts of a database; none of a new one."""
    is_new = db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'facts'").fetchone() is None
    return {} if is_new else dict(db.execute("SELECT name, value FROM facts"))


def refuse_incomplete(facts: Mapping[str, bytes], path: Path) -> None:
    """Check that the database is not the copy of a backup's data, which somebody put in place without its keys.

    Raises:
        BadDatabase: If it is; nothing was changed.
    """
    if INCOMPLETE in facts:
        raise BadDatabase(
            f"{path} is the data of a backup without its keys; move it away, and run `consentful restore`; "
            "nothing was changed"
        )


def put_together(data: Path, keys: Path, target: Path) -> None:
    """Join both files into one new database at `target`, completely or not at all. Neither file is changed.

    Raises:
        FileExistsError: If `target` exists, or another restore is joining it.
        BadDatabase: If the keys cannot be read.
    """
    fresh = unfinished(target)
    fresh.open("xb").close()  # exclusively: another restore may be at work
    try:
        shutil.copyfile(data, fresh)
        with closing(connect(fresh)) as db, closing(read_only(keys)) as copied:
            db.execute("BEGIN")
            db.executemany("INSERT INTO dialog_keys VALUES (?, ?)", copied.execute("SELECT * FROM dialog_keys"))
            if "customers" in table_names(copied):
                _name_customers(db, copied)
            db.execute("DELETE FROM facts WHERE name = ?", (INCOMPLETE,))
            ledger_length.replace(db, {})  # the ledgers beside a restored store may be those of the backup
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, randomblob(8))", (GENERATION,))
            db.execute("COMMIT")
        finish(fresh)
        os.link(fresh, target)  # fails if the target exists; a rename would overwrite it
    except sqlite3.DatabaseError:
        raise BadDatabase(f"{keys} cannot be joined with {data}; restore another backup") from None
    finally:
        fresh.unlink()
    sync_folder(target.parent)


def read_only(path: Path) -> "sqlite3.Connection":
    """Open a file of a backup. `immutable`: otherwise a log would be created beside it, or one that lies there used."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _name_customers(db: "sqlite3.Connection", copied: "sqlite3.Connection") -> None:
    rows = copied.execute("SELECT customer, receipt, dialog FROM customers")
    db.executemany("UPDATE dialogs SET customer = ?, receipt = ? WHERE id = ?", rows)
    if "customer" in column_names(db, "messages"):  # a copy of an earlier schema gets it from its migration
        db.create_function("customer_key", 1, customer_key, deterministic=True)
        db.execute(
            "UPDATE messages SET customer = customer_key(d.customer) FROM dialogs d WHERE d.id = messages.dialog"
        )


def column_names(db: "sqlite3.Connection", table: str) -> list[str]:
    return [row[0] for row in db.execute("SELECT name FROM pragma_table_info(?, 'main')", (table,))]


def table_names(db: "sqlite3.Connection") -> list[str]:
    rows = db.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name != 'sqlite_stat1'")
    return [row[0] for row in rows]


def finish(path: Path) -> None:
    """Leave the copy as a single file, on disk, without a write-ahead log beside it."""
    with closing(connect(path)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
