"""The access log as rows; `access_log.chain` decides how an entry follows the last one.

Entries are numbered and chained inside the writer's transaction. Nobody else can write then, so two entries never get
the same number or follow the same link, whichever processes write them. Those of one batch are chained in Python, and
inserted together.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from ...access_log.chain import Head, actual_head, next_number
from ...access_log.store import ErasedNumber, Logged, Note, Seen, ShortEntry, Trace
from ...clock import to_micros
from ..log_row import logged_of, row_of
from .connection import Connection, Row
from .database import Database
from .placeholders import Placeholders, columns
from .purposes import purposes_of

_FIELDS: Final = (
    "l.number, l.at, l.kind, l.who, l.action, l.request, l.subject, l.filters, l.commitment, l.rows, l.dialogs, l.link"
)
_IS_LEFT: Final = "e.sealed != ''"
_SELECT: Final = (
    f"SELECT {_FIELDS}, coalesce(v.sealed, e.sealed) FROM access_log l LEFT JOIN access_values v ON v.number = l.number"
    f" LEFT JOIN ending_values e ON e.number = l.number AND {_IS_LEFT}"
)
_SELECT_SHORT: Final = "SELECT l.number, l.at, l.kind, l.who, l.action, l.subject, l.dialogs FROM access_log l"
_SELECT_SEARCHES: Final = (
    f"SELECT {_FIELDS}, e.sealed FROM ending_values e JOIN access_log l ON l.number = e.number"
    f" WHERE e.number > $1 AND {_IS_LEFT} AND string_to_array(l.filters, ',') && $3::text[] ORDER BY e.number LIMIT $2"
)
_HEAD: Final = (
    "SELECT l.last, h.number, h.link, h.seal FROM (SELECT coalesce(max(number), 0) AS last FROM access_log) l"
    " LEFT JOIN access_head h ON true"
)
_APPEND: Final = (
    # One statement, because each is a round trip, and each page that is read waits for this.
    "WITH logged AS (INSERT INTO access_log"
    " SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],"
    " $8::text[], $9::bytea[], $10::bigint[], $11::bytea[], $12::bytea[])),"
    " lasting AS (INSERT INTO access_values SELECT * FROM unnest($13::bigint[], $14::bytea[])),"
    " ending AS (INSERT INTO ending_values"
    " SELECT * FROM unnest($15::bigint[], $16::bigint[], $17::text[], $18::bytea[]) AS v"
    " (number, epoch, customer, sealed)"
    # Whoever looks for a customer of whom nothing is stored leaves no trace of them.
    " WHERE customer IS NULL OR EXISTS (SELECT 1 FROM dialogs d WHERE d.customer = v.customer))"
    ' INSERT INTO access_head VALUES (1, $19, $20, $21) ON CONFLICT ("only")'
    " DO UPDATE SET number = excluded.number, link = excluded.link, seal = excluded.seal"
)
# The row stays until its epoch ends, as in the other kind of store. Earlier versions of it end with the epoch, too.
_ERASE: Final = "UPDATE ending_values SET sealed = '', customer = NULL WHERE"


class PostgresAccessLog:
    """The `AccessLogStore` of a PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, note: Note) -> None:
        await self._database.writer.write_together(_append_all, note)

    async def head(self) -> Head:
        return await self._database.read(_actual_head)

    async def links(self, after: int, limit: int) -> list[Logged]:
        return await self._logged(f"{_SELECT} WHERE l.number > $1 ORDER BY l.number LIMIT $2", after, limit)

    async def newest(self, trace: Trace, before: int | None, limit: int) -> list[Logged]:
        values = Placeholders()
        where = _conditions(trace, before, values)
        sql = f"{_SELECT} WHERE {where} ORDER BY l.number DESC LIMIT {values.add(limit)}"
        return await self._logged(sql, *values)

    async def short(self, trace: Trace, after: int, limit: int) -> list[ShortEntry]:
        values = Placeholders()
        where = f"{_conditions(trace, None, values)} AND l.number > {values.add(after)}"
        sql = f"{_SELECT_SHORT} WHERE {where} ORDER BY l.number LIMIT {values.add(limit)}"
        return [ShortEntry(*row) for row in await self._database.fetch(sql, *values)]

    async def numbers_of(self, customer: str | None, dialog_id: str | None) -> list[int]:
        values = Placeholders()
        mine, this = values.add(customer), values.add(dialog_id)
        rows = await self._database.fetch(
            f"SELECT id AS number FROM dialogs WHERE customer = {mine}"
            f" UNION SELECT id FROM dialogs WHERE dialog_id = {this}"
            f" UNION SELECT number FROM tombstones WHERE dialog_id = {this} AND number IS NOT NULL ORDER BY number",
            *values,
        )
        return [row[0] for row in rows]

    async def seen(self, numbers: Sequence[int]) -> list[Seen]:
        rows = await self._database.fetch(
            "SELECT id AS number, dialog_id, customer, NULL::bigint, purposes FROM dialogs WHERE id = ANY($1::bigint[])"
            " UNION ALL SELECT number, dialog_id, NULL, erased_at, purposes FROM tombstones"
            " WHERE number = ANY($1::bigint[]) ORDER BY number",
            list(numbers),
        )
        return [
            Seen(number, dialog_id, customer, erased_at, purposes_of(purposes))
            for number, dialog_id, customer, erased_at, purposes in rows
        ]

    async def erase_values(self, customer: str) -> None:
        await self._database.writer.write(lambda db: erase_values(db, customer))

    async def searches(self, filters: Collection[str], after: int, limit: int) -> list[Logged]:
        return await self._logged(_SELECT_SEARCHES, after, limit, list(filters))

    async def of_subject(self, subject: str) -> list[Logged]:
        return await self._logged(f"{_SELECT} WHERE l.subject = $1 ORDER BY l.number", subject)

    async def erase_values_of(self, numbers: Sequence[int]) -> None:
        sql = f"{_ERASE} number = ANY($1::bigint[])"
        await self._database.writer.write(lambda db: db.execute(sql, list(numbers)))

    async def erased_after(self, place: int, limit: int) -> list[ErasedNumber]:
        sql = (
            "SELECT e.place, t.number FROM erasures e JOIN tombstones t ON t.dialog_id = e.dialog_id"
            " WHERE e.place > $1 ORDER BY e.place LIMIT $2"
        )
        return [ErasedNumber(*row) for row in await self._database.fetch(sql, place, limit)]

    async def _logged(self, sql: str, *values: Any) -> list[Logged]:
        return [logged_of(row) for row in await self._database.fetch(sql, *values)]


async def append(db: Connection, notes: Sequence[Note]) -> None:
    """Append entries to the log, inside the writer's transaction."""
    # The head's row and the last entry's number can differ only if somebody wrote to the table with SQL.
    head, last = await _head(db)
    rows: list[Row] = []
    for note in notes:
        linked, head = note.follow(head, next_number(head, last))
        last = linked.entry.number
        rows.append(row_of(linked))
    lasting, ending = _values([(row[0], note) for row, note in zip(rows, notes, strict=True)])
    values = (*columns(rows, 12), *columns(lasting, 2), *columns(ending, 4))
    await db.execute(_APPEND, *values, head.number, head.link, head.seal)


async def append_if(db: Connection, note: Note | None) -> None:
    """Append the entry, if there is one."""
    if note is not None:
        await append(db, [note])


async def erase_values(db: Connection, customer: str) -> None:
    """Overwrite the sealed filter values that name a customer; the entries and their commitments stay."""
    await db.execute(f"{_ERASE} customer = $1", customer)


async def end_values(db: Connection, epoch: int) -> None:
    """Delete the filter values that ended before this epoch."""
    await db.execute("DELETE FROM ending_values WHERE epoch < $1", epoch)


async def _append_all(db: Connection, notes: Sequence[Note]) -> Sequence[None]:
    await append(db, notes)
    return [None] * len(notes)


def _values(numbered: Sequence[tuple[int, Note]]) -> tuple[list[Row], list[Row]]:
    """Return the sealed filter values as rows: those that last, and those that end with their epoch."""
    lasting: list[Row] = []
    ending: list[Row] = []
    for number, note in numbered:
        if (values := note.values) is not None:
            if values.epoch is None:
                lasting.append((number, values.sealed))
            else:
                ending.append((number, values.epoch, values.customer, values.sealed))
    return lasting, ending


async def _head(db: Connection) -> tuple[Head, int]:
    """Return the head, and the number of the last entry that there is."""
    row = await db.fetchrow(_HEAD)
    assert row is not None
    last, *head = row
    return (Head() if head[0] is None else Head(*head)), last


async def _actual_head(db: Connection) -> Head:
    return actual_head(*await _head(db))


def _conditions(trace: Trace, before: int | None, values: Placeholders) -> str:
    wanted = (
        ("l.number <", before),
        ("l.who =", trace.who),
        ("l.action =", trace.action),
        ("l.at >=", None if trace.since is None else to_micros(trace.since)),
        ("l.at <", None if trace.until is None else to_micros(trace.until)),
    )
    return " AND ".join(["true", *(f"{sql} {values.add(value)}" for sql, value in wanted if value is not None)])
