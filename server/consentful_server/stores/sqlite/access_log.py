"""The access log as rows; `access_log.chain` decides how an entry follows the last one.

An entry is numbered and chained inside the writer's transaction. Nobody else can write then, so two entries never get
the same number or follow the same link, whichever processes write them.
"""

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

from ...access_log.chain import Head, actual_head, next_number
from ...access_log.store import ErasedNumber, Logged, Note, Seen, ShortEntry, Trace, Values
from ...clock import to_micros
from ..log_row import logged_of, row_of
from .database import Database

if TYPE_CHECKING:
    import sqlite3

_SELECT: Final = (
    "SELECT l.number, l.at, l.kind, l.who, l.action, l.request, l.subject, l.filters, l.commitment, l.rows, l.dialogs,"
    " l.link, coalesce(v.sealed, e.sealed) FROM access_log l LEFT JOIN access_values v ON v.number = l.number"
    " LEFT JOIN ending_values e ON e.number = l.number AND e.sealed != zeroblob(length(e.sealed))"
)
_SELECT_SHORT: Final = "SELECT l.number, l.at, l.kind, l.who, l.action, l.subject, l.dialogs FROM access_log l"
_SELECT_SEARCHES: Final = (
    "SELECT l.number, l.at, l.kind, l.who, l.action, l.request, l.subject, l.filters, l.commitment, l.rows, l.dialogs,"
    " l.link, e.sealed FROM ending_values e CROSS JOIN access_log l ON l.number = e.number"  # few of a long log
    " WHERE e.number > ?1 AND e.sealed != zeroblob(length(e.sealed))"
    " AND EXISTS (SELECT 1 FROM json_each(?3) WHERE instr(',' || l.filters || ',', ',' || value || ','))"
    " ORDER BY e.number LIMIT ?2"
)

# At equal length SQLite rewrites the cell where it stands: no page keeps a copy of the key that the value is sealed
# with. The row stays until its epoch ends, because deleting rows moves others to other pages.
_ERASE: Final = (
    "UPDATE ending_values SET sealed = zeroblob(length(sealed)),"
    " customer = nullif(hex(zeroblob(length(customer) / 2)), '') WHERE"
)


class SQLiteAccessLog:
    """The `AccessLogStore` of an SQLite database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, note: Note) -> None:
        await self._database.writer.write_together(append_all, note, _nothing)

    async def head(self) -> Head:
        return await self._database.read(_actual_head)

    async def links(self, after: int, limit: int) -> list[Logged]:
        sql = f"{_SELECT} WHERE l.number > ? ORDER BY l.number LIMIT ?"
        return await self._database.read(lambda db: [logged_of(row) for row in db.execute(sql, (after, limit))])

    async def newest(self, trace: Trace, before: int | None, limit: int) -> list[Logged]:
        where, values = _conditions(trace, before)
        sql = f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY l.number DESC LIMIT ?"
        return await self._database.read(lambda db: [logged_of(row) for row in db.execute(sql, [*values, limit])])

    async def short(self, trace: Trace, after: int, limit: int) -> list[ShortEntry]:
        where, values = _conditions(trace)
        sql = f"{_SELECT_SHORT} WHERE {' AND '.join(where)} AND l.number > ? ORDER BY l.number LIMIT ?"
        return await self._database.read(
            lambda db: [ShortEntry(*row) for row in db.execute(sql, [*values, after, limit])]
        )

    async def numbers_of(self, customer: str | None, dialog_id: str | None) -> list[int]:
        sql = (
            "SELECT id FROM dialogs WHERE customer = ?1"
            " UNION SELECT id FROM dialogs WHERE dialog_id = ?2"
            " UNION SELECT number FROM tombstones WHERE dialog_id = ?2 AND number IS NOT NULL"
        )
        return await self._database.read(lambda db: [row[0] for row in db.execute(sql, (customer, dialog_id))])

    async def seen(self, numbers: Sequence[int]) -> list[Seen]:
        sql = (
            "SELECT id AS n, dialog_id, customer, NULL, purposes FROM dialogs"
            " WHERE id IN (SELECT value FROM json_each(?1))"
            " UNION ALL SELECT number, dialog_id, NULL, erased_at, purposes FROM tombstones"
            " WHERE number IN (SELECT value FROM json_each(?1)) ORDER BY n"
        )

        def found(db: "sqlite3.Connection") -> list[Seen]:
            rows = db.execute(sql, (json.dumps(numbers),))
            return [
                Seen(number, dialog_id, customer, erased_at, tuple(json.loads(purposes)))
                for number, dialog_id, customer, erased_at, purposes in rows
            ]

        return await self._database.read(found)

    async def erase_values(self, customer: str) -> None:
        await self._database.writer.erase(lambda db: erase_values(db, customer))

    async def searches(self, filters: Collection[str], after: int, limit: int) -> list[Logged]:
        values = (after, limit, json.dumps(list(filters)))
        return await self._database.read(lambda db: [logged_of(row) for row in db.execute(_SELECT_SEARCHES, values)])

    async def of_subject(self, subject: str) -> list[Logged]:
        return await self._database.read(lambda db: of_subject(db, subject))

    async def erase_values_of(self, numbers: Sequence[int]) -> None:
        sql = f"{_ERASE} number IN (SELECT value FROM json_each(?))"
        await self._database.writer.erase(lambda db: db.execute(sql, (json.dumps(list(numbers)),)))

    async def erased_after(self, place: int, limit: int) -> list[ErasedNumber]:
        sql = (
            "SELECT e.place, t.number FROM erasures e JOIN tombstones t ON t.dialog_id = e.dialog_id"
            " WHERE e.place > ? ORDER BY e.place LIMIT ?"
        )
        return await self._database.read(lambda db: [ErasedNumber(*row) for row in db.execute(sql, (place, limit))])


def append(db: "sqlite3.Connection", note: Note) -> None:
    """Append an entry to the log, inside a transaction that has the write lock."""
    append_all(db, [note])


def append_all(db: "sqlite3.Connection", notes: Sequence[Note]) -> list[None]:
    """Append entries to the log in this order, inside a transaction that has the write lock; return None for each.

    The head is read and written once: of pages that are read at the same time, several are logged in one transaction.
    """
    # The head's row and the last entry's number can differ only if somebody wrote to the table with SQL.
    head, last = _head(db), _last(db)
    for note in notes:
        linked, head = note.follow(head, next_number(head, last))
        last = linked.entry.number
        db.execute("INSERT INTO access_log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row_of(linked))
        if note.values is not None:
            _insert_values(db, last, note.values)
    db.execute("INSERT OR REPLACE INTO access_head VALUES (1, ?, ?, ?)", (head.number, head.link, head.seal))
    return [None for _ in notes]


def _nothing() -> None:
    """Prepare an entry for its transaction: it is ready."""


def of_subject(db: "sqlite3.Connection", subject: str) -> list[Logged]:
    """Return the entries about a subject, such as an export, oldest first."""
    sql = f"{_SELECT} WHERE l.subject = ? ORDER BY l.number"
    return [logged_of(row) for row in db.execute(sql, (subject,))]


def erase_values(db: "sqlite3.Connection", customer: str) -> None:
    """Overwrite the sealed filter values that name a customer; the entries and their commitments stay."""
    db.execute(f"{_ERASE} customer = ?", (customer,))


def end_values(db: "sqlite3.Connection", epoch: int) -> None:
    """Delete the filter values that ended before this epoch."""
    db.execute("DELETE FROM ending_values WHERE epoch < ?", (epoch,))


def _insert_values(db: "sqlite3.Connection", number: int, values: Values) -> None:
    if values.epoch is None:
        db.execute("INSERT INTO access_values VALUES (?, ?)", (number, values.sealed))
    elif values.customer is None or _is_known(db, values.customer):
        row = (number, values.epoch, values.customer, values.sealed)
        db.execute("INSERT INTO ending_values VALUES (?, ?, ?, ?)", row)


def _is_known(db: "sqlite3.Connection", customer: str) -> bool:
    """Return whether a dialog of the customer is stored."""
    return db.execute("SELECT 1 FROM dialogs WHERE customer = ?", (customer,)).fetchone() is not None


def _head(db: "sqlite3.Connection") -> Head:
    row = db.execute("SELECT number, link, seal FROM access_head").fetchone()
    return Head(*row) if row else Head()


def _last(db: "sqlite3.Connection") -> int:
    return db.execute("SELECT coalesce(max(number), 0) FROM access_log").fetchone()[0]


def _actual_head(db: "sqlite3.Connection") -> Head:
    return actual_head(_head(db), _last(db))


def _conditions(trace: Trace, before: int | None = None) -> tuple[list[str], list[Any]]:
    wanted = (
        ("l.number < ?", before),
        ("l.who = ?", trace.who),
        ("l.action = ?", trace.action),
        ("l.at >= ?", None if trace.since is None else to_micros(trace.since)),
        ("l.at < ?", None if trace.until is None else to_micros(trace.until)),
    )
    given = [(sql, value) for sql, value in wanted if value is not None]
    return [sql for sql, _ in given] or ["1"], [value for _, value in given]
