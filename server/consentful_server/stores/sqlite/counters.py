"""Counters as rows. They change in the transaction that stores or erases a dialog, so they agree with the rows."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from ...statistics.store import LENGTHS, Counted, Dimension, Outcomes, Which
from .database import Database
from .languages import in_range

if TYPE_CHECKING:
    import sqlite3

# The least number of messages of the dialog's length class, as in `statistics.store.LENGTHS`.
_LENGTH: Final = "CASE " + "".join(f"WHEN d.messages >= {least} THEN {least} " for least in reversed(LENGTHS)) + "END"
_COUNT_DIALOG: Final = (
    "INSERT INTO dialog_counts SELECT date(d.stored_at / 1000000, 'unixepoch'), coalesce(d.language, ''),"
    f" coalesce(d.bot, ''), d.purposes, {_LENGTH}, ?2, ?2 * d.messages FROM dialogs d WHERE d.id = ?1"
    " ON CONFLICT DO UPDATE SET dialogs = dialogs + excluded.dialogs, messages = messages + excluded.messages"
)
_COUNT_MESSAGES: Final = (
    "INSERT INTO message_counts SELECT date(d.stored_at / 1000000, 'unixepoch'), coalesce(m.language, ''),"
    f" coalesce(d.bot, ''), m.role, d.purposes, {_LENGTH}, ?2 * count(*) FROM messages m JOIN dialogs d"
    " ON d.id = m.dialog WHERE m.dialog = ?1 GROUP BY 2, 4"
    " ON CONFLICT DO UPDATE SET messages = messages + excluded.messages"
)
_ADD_OUTCOMES: Final = (
    "INSERT INTO outcome_counts VALUES (?, coalesce(?, ''), ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " granted = granted + excluded.granted, declined = declined + excluded.declined,"
    " dropped = dropped + excluded.dropped"
)


class SQLiteCounters:
    """The `CounterStore` of an SQLite database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def dialogs(self, which: Which, by: Sequence[Dimension]) -> list[Counted]:
        return await self._database.read(lambda db: _counted(db, "dialog_counts", "sum(dialogs)", which, by))

    async def messages(self, which: Which, by: Sequence[Dimension]) -> list[Counted]:
        return await self._database.read(lambda db: _counted(db, "message_counts", "0", which, by))

    async def outcomes(self, which: Which) -> list[Outcomes]:
        where, values = _conditions(which)
        sql = (
            "SELECT day, nullif(bot, ''), granted, declined, dropped FROM outcome_counts"
            f" WHERE {' AND '.join(where)} ORDER BY day, bot"
        )
        return await self._database.read(lambda db: [Outcomes(*row) for row in db.execute(sql, values)])

    async def add_outcomes(self, outcomes: Sequence[Outcomes]) -> None:
        rows = [(it.day, it.bot, it.granted, it.declined, it.dropped) for it in outcomes]
        await self._database.writer.write(lambda db: db.executemany(_ADD_OUTCOMES, rows))


def count(db: "sqlite3.Connection", number: int, sign: int) -> None:
    """Add the dialog to the counters (`sign` 1), or take it out (-1), while its rows exist."""
    db.execute(_COUNT_DIALOG, (number, sign))
    db.execute(_COUNT_MESSAGES, (number, sign))


def _counted(
    db: "sqlite3.Connection", table: str, dialogs: str, which: Which, by: Sequence[Dimension]
) -> list[Counted]:
    where, values = _conditions(which)
    columns = ", ".join([*by, "purposes"])
    rows = db.execute(
        f"SELECT {columns}, {dialogs}, sum(messages) FROM {table} WHERE {' AND '.join(where)}"
        # Combinations whose dialogs were all erased keep a row with zeros.
        f" GROUP BY {columns} HAVING sum(messages) > 0 ORDER BY {columns}",
        values,
    )
    return [
        Counted(tuple(value if value != "" else None for value in dimensions), tuple(json.loads(purposes)), *numbers)
        for *dimensions, purposes, (*numbers,) in ((*row[:-2], row[-2:]) for row in rows)
    ]


def _conditions(which: Which) -> tuple[list[str], list[Any]]:
    where, values = ["true"], list[Any]()
    for sql, value in (("day >= ?", which.since), ("day < ?", which.until), ("bot = ?", which.bot)):
        if value is not None:
            where.append(sql)
            values.append(value)
    if which.language is not None:
        condition, tags = in_range("language", which.language)
        where.append(condition)
        values += tags
    return where, values
