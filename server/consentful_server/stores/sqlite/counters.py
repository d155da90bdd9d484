"""Counters as rows. They change in the transaction that stores or erases a dialog, so they agree with the rows.

Their labels come from chatbots, and could tell of a customer. So a label is in a counter only while a stored dialog has
it: a counter that falls to zero is deleted, and outcomes name a chatbot only while a dialog of it is counted.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import astuple

from ...archive.store import StoredDialog
from ...clock import from_micros
from ...statistics.store import LENGTHS, Counted, Dimension, NoticeOutcomes, Outcomes, Which
from ..purposes import as_json
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
_ADD_DIALOGS: Final = (
    "INSERT INTO dialog_counts VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET dialogs = dialogs + excluded.dialogs, messages = messages + excluded.messages"
)
_ADD_MESSAGES: Final = (
    "INSERT INTO message_counts VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET messages = messages + excluded.messages"
)
_OF_DIALOG: Final = "(SELECT {} FROM dialogs d WHERE d.id = ?1)"
_DAY_OF_DIALOG: Final = _OF_DIALOG.format("date(d.stored_at / 1000000, 'unixepoch')")
_BOT_OF_DIALOG: Final = _OF_DIALOG.format("coalesce(d.bot, '')")
_ADD: Final = (
    " ON CONFLICT DO UPDATE SET granted = granted + excluded.granted, declined = declined + excluded.declined,"
    " dropped = dropped + excluded.dropped"
)
_ADD_OUTCOMES: Final = (
    "INSERT INTO outcome_counts VALUES"
    f" (?1, coalesce((SELECT bot FROM dialog_counts WHERE bot = ?2 LIMIT 1), ''), ?3, ?4, ?5){_ADD}"
)
_ADD_OF_NOTICES: Final = f"INSERT INTO notice_counts VALUES (?, ?, ?, ?, ?){_ADD}"
_UNNAMED: Final = "bot = ?1 AND bot != '' AND NOT EXISTS (SELECT 1 FROM dialog_counts c WHERE c.bot = ?1)"
_ADD_TO_UNNAMED: Final = (
    f"INSERT INTO outcome_counts SELECT day, '', granted, declined, dropped FROM outcome_counts WHERE {_UNNAMED}{_ADD}"
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

    async def of_notices(self) -> list[NoticeOutcomes]:
        sql = "SELECT notice, language, granted, declined, dropped FROM notice_counts ORDER BY notice, language"
        return await self._database.read(lambda db: [NoticeOutcomes(*row) for row in db.execute(sql)])

    async def add_outcomes(self, outcomes: Sequence[Outcomes], of_notices: Sequence[NoticeOutcomes]) -> None:
        def work(db: "sqlite3.Connection") -> None:
            db.executemany(_ADD_OUTCOMES, [astuple(it) for it in outcomes])
            db.executemany(_ADD_OF_NOTICES, [astuple(it) for it in of_notices])

        await self._database.writer.write(work)


def add(db: "sqlite3.Connection", dialogs: Iterable[StoredDialog]) -> None:
    """Add new dialogs to the counters: each counter changes once, by all of them. `count` counts the same in SQL."""
    by_dialog: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    by_message: Counter[tuple[Any, ...]] = Counter()
    for dialog in dialogs:
        day, bot = from_micros(dialog.stored_at).date().isoformat(), dialog.record.bot or ""
        purposes = as_json(dialog.record.purposes)
        length = max(least for least in LENGTHS if least <= dialog.messages)
        counted = by_dialog[day, dialog.language or "", bot, purposes, length]
        counted[0] += 1
        counted[1] += dialog.messages
        by_message.update((day, head.language or "", bot, head.role, purposes, length) for head in dialog.heads)
    db.executemany(_ADD_DIALOGS, [(*key, *counted) for key, counted in by_dialog.items()])
    db.executemany(_ADD_MESSAGES, [(*key, counted) for key, counted in by_message.items()])


def count(db: "sqlite3.Connection", number: int, sign: int) -> None:
    """Add a stored dialog to the counters (`sign` 1), or take it out (-1), while its rows exist."""
    db.execute(_COUNT_DIALOG, (number, sign))
    db.execute(_COUNT_MESSAGES, (number, sign))


def forget(db: "sqlite3.Connection", number: int) -> None:
    """Delete the counters of zero on the dialog's day, and its chatbot's name from outcomes if no dialog has it any
    more. The dialog's row must exist, and must be counted as it will be after the transaction.
    """
    db.execute(f"DELETE FROM dialog_counts WHERE dialogs = 0 AND day = {_DAY_OF_DIALOG}", (number,))
    db.execute(f"DELETE FROM message_counts WHERE messages = 0 AND day = {_DAY_OF_DIALOG}", (number,))
    bot = db.execute(f"SELECT {_BOT_OF_DIALOG}", (number,)).fetchone()
    db.execute(_ADD_TO_UNNAMED, bot)
    db.execute(f"DELETE FROM outcome_counts WHERE {_UNNAMED}", bot)


def _counted(
    db: "sqlite3.Connection", table: str, dialogs: str, which: Which, by: Sequence[Dimension]
) -> list[Counted]:
    where, values = _conditions(which)
    columns = ", ".join([*by, "purposes"])
    rows = db.execute(
        f"SELECT {columns}, {dialogs}, sum(messages) FROM {table} WHERE {' AND '.join(where)}"
        f" GROUP BY {columns} ORDER BY {columns}",
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
