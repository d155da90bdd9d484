"""Notices as rows, one for each language."""

from collections.abc import Sequence
from typing import Final

from ...access_log.store import Note
from ...clock import Clock, to_micros
from ...consent.notices import Wording, is_new, on_offer
from ...privacy.ledger import Ledger, RetiredEntry
from ..notice_row import READ, row_of, wording_of
from . import access_log
from .connection import Connection
from .database import Database

_SELECT: Final = f"SELECT {READ} FROM notices ORDER BY added_at, notice, language"
_INSERT: Final = "INSERT INTO notices VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"


class PostgresNotices:
    """The `NoticeStore` of a PostgreSQL database."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger

    async def all(self) -> list[Wording]:
        return await self._database.read(_all)

    async def add(self, wordings: Sequence[Wording], note: Note | None = None) -> None:
        now = to_micros(self._clock.now())
        await self._database.writer.write(lambda db: _add(db, wordings, now, note))

    async def retire(self, notice_id: str, note: Note | None = None, *, at: int | None = None) -> bool:
        when = to_micros(self._clock.now()) if at is None else at
        return await self._database.writer.write(lambda db: _retire(db, self._ledger, notice_id, when, note))


async def _all(db: Connection) -> list[Wording]:
    return [wording_of(row) for row in await db.fetch(_SELECT)]


async def _retire(db: Connection, ledger: Ledger, notice_id: str, at: int, note: Note | None) -> bool:
    sql = "UPDATE notices SET retired_at = $1 WHERE notice = $2 AND retired_at IS NULL"
    if await db.execute(sql, at, notice_id) == "UPDATE 0":
        return await db.fetchval("SELECT EXISTS (SELECT 1 FROM notices WHERE notice = $1)", notice_id)
    ledger.add(RetiredEntry(notice_id, at, tuple(on_offer(await _all(db)))))
    await access_log.append_if(db, note)
    return True


async def _add(db: Connection, wordings: Sequence[Wording], at: int, note: Note | None) -> None:
    # In the transaction that inserts: two processes may add the same notice at the same time.
    if not is_new(wordings, [known for known in await _all(db) if known.id == wordings[0].id]):
        return
    await db.executemany(_INSERT, [row_of(wording, at) for wording in wordings])
    await access_log.append_if(db, note)
