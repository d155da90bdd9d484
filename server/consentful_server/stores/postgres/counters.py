"""Counters as rows. They change in the transaction that stores or erases a dialog, so they agree with the rows.

Their labels come from chatbots, and could tell of a customer. So a label is in a counter only while a stored dialog has
it: a counter that falls to zero is deleted, and outcomes name a chatbot only while a dialog of it is counted.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import astuple

from ...archive.store import StoredDialog
from ...clock import from_micros
from ...statistics.store import LENGTHS, Counted, Dimension, NoticeOutcomes, Outcomes, Which
from ..purposes import as_json
from .connection import Connection
from .database import Database
from .placeholders import Placeholders, columns
from .together import Statement, run_together

_COUNT_DIALOGS: Final = (
    "INSERT INTO dialog_counts AS c SELECT * FROM"
    " unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[], $7::bigint[])"
    " ON CONFLICT (day, language, bot, purposes, length) DO UPDATE"
    " SET dialogs = c.dialogs + excluded.dialogs, messages = c.messages + excluded.messages"
)
_COUNT_MESSAGES: Final = (
    "INSERT INTO message_counts AS c SELECT * FROM"
    " unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::bigint[])"
    " ON CONFLICT (day, language, bot, role, purposes, length) DO UPDATE SET messages = c.messages + excluded.messages"
)
_SUM: Final = (
    " DO UPDATE SET granted = o.granted + excluded.granted, declined = o.declined + excluded.declined,"
    " dropped = o.dropped + excluded.dropped"
)
_ADD: Final = f" ON CONFLICT (day, bot){_SUM}"
_ADD_OF_NOTICES: Final = (
    f"INSERT INTO notice_counts AS o VALUES ($1, $2, $3, $4, $5) ON CONFLICT (notice, language){_SUM}"
)
_ADD_OUTCOMES: Final = (
    "INSERT INTO outcome_counts AS o VALUES"
    f" ($1, coalesce((SELECT bot FROM dialog_counts WHERE bot = $2 LIMIT 1), ''), $3, $4, $5){_ADD}"
)
_UNNAMED: Final = "bot = $1 AND bot != '' AND NOT EXISTS (SELECT 1 FROM dialog_counts c WHERE c.bot = $1)"
_ADD_TO_UNNAMED: Final = (
    "INSERT INTO outcome_counts AS o SELECT day, '', granted, declined, dropped FROM outcome_counts"
    f" WHERE {_UNNAMED}{_ADD}"
)


class PostgresCounters:
    """The `CounterStore` of a PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def dialogs(self, which: Which, by: Sequence[Dimension]) -> list[Counted]:
        return await self._counted("dialog_counts", "sum(dialogs)::bigint", which, by)

    async def messages(self, which: Which, by: Sequence[Dimension]) -> list[Counted]:
        return await self._counted("message_counts", "0", which, by)

    async def outcomes(self, which: Which) -> list[Outcomes]:
        values = Placeholders()
        rows = await self._database.fetch_stale(
            "SELECT day, nullif(bot, ''), granted, declined, dropped FROM outcome_counts"
            f" WHERE {_conditions(which, values)} ORDER BY day, bot",
            *values,
        )
        return [Outcomes(*row) for row in rows]

    async def of_notices(self) -> list[NoticeOutcomes]:
        sql = "SELECT notice, language, granted, declined, dropped FROM notice_counts ORDER BY notice, language"
        return [NoticeOutcomes(*row) for row in await self._database.fetch_stale(sql)]

    async def add_outcomes(self, outcomes: Sequence[Outcomes], of_notices: Sequence[NoticeOutcomes]) -> None:
        async def work(db: Connection) -> None:
            await db.executemany(_ADD_OUTCOMES, [astuple(it) for it in outcomes])
            await db.executemany(_ADD_OF_NOTICES, [astuple(it) for it in of_notices])

        await self._database.writer.write(work)

    async def _counted(self, table: str, dialogs: str, which: Which, by: Sequence[Dimension]) -> list[Counted]:
        values, names = Placeholders(), ", ".join([*by, "purposes"])
        rows = await self._database.fetch_stale(
            f"SELECT {names}, {dialogs}, sum(messages)::bigint FROM {table} WHERE {_conditions(which, values)}"
            f" GROUP BY {names} ORDER BY {names}",
            *values,
        )
        return [_from_row(row) for row in rows]


async def count(db: Connection, dialogs: Sequence[StoredDialog], sign: int) -> None:
    """Add dialogs, with their heads, to the counters (`sign` 1), or take them out (-1)."""
    await run_together(db, counting(dialogs, sign))


def counting(dialogs: Sequence[StoredDialog], sign: int) -> list[Statement]:
    """Return what `count` does."""
    by_dialog: Counter[tuple[Any, ...]] = Counter()
    by_message: Counter[tuple[Any, ...]] = Counter()
    spoken: Counter[tuple[Any, ...]] = Counter()
    for dialog in dialogs:
        day, bot, purposes = day_of(dialog), dialog.record.bot or "", as_json(dialog.record.purposes)
        length = max(least for least in LENGTHS if least <= dialog.messages)
        label = (day, dialog.language or "", bot, purposes, length)
        by_dialog[label] += sign
        spoken[label] += sign * dialog.messages
        by_message.update(
            {
                (day, language or "", bot, role, purposes, length): sign * times
                for (role, language), times in Counter((head.role, head.language) for head in dialog.heads).items()
            }
        )
    return [
        (_COUNT_DIALOGS, columns([(*label, times, spoken[label]) for label, times in by_dialog.items()], 7)),
        (_COUNT_MESSAGES, columns([(*label, times) for label, times in by_message.items()], 7)),
    ]


async def forget(db: Connection, dialog: StoredDialog) -> None:
    """Delete the counters of zero on the dialog's day, and its chatbot's name from outcomes if no dialog has it any
    more. The dialog must be counted as it will be after the transaction.
    """
    day, bot = day_of(dialog), dialog.record.bot or ""
    await db.execute("DELETE FROM dialog_counts WHERE dialogs = 0 AND day = $1", day)
    await db.execute("DELETE FROM message_counts WHERE messages = 0 AND day = $1", day)
    await db.execute(_ADD_TO_UNNAMED, bot)
    await db.execute(f"DELETE FROM outcome_counts WHERE {_UNNAMED}", bot)


def day_of(dialog: StoredDialog) -> str:
    """Return the day on which a dialog was stored, UTC (ISO 8601)."""
    return from_micros(dialog.stored_at).date().isoformat()


def _from_row(row: Sequence[Any]) -> Counted:
    *dimensions, purposes, dialogs, messages = row
    values = tuple(value if value != "" else None for value in dimensions)
    return Counted(values, tuple(json.loads(purposes)), dialogs, messages)


def _conditions(which: Which, values: Placeholders) -> str:
    where = ["true"]
    for column, value in (("day >=", which.since), ("day <", which.until), ("bot =", which.bot)):
        if value is not None:
            where.append(f"{column} {values.add(value)}")
    if which.language is not None:
        where.append(values.in_range("language", which.language))
    return " AND ".join(where)
