"""Notices as rows, one for each language."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...access_log.store import Note
from ...clock import Clock, to_micros
from ...consent.notices import Wording, is_new, on_offer
from ...privacy.ledger import Ledger, RetiredEntry
from ..notice_row import READ, row_of, wording_of
from . import access_log
from .database import Database

if TYPE_CHECKING:
    import sqlite3


class SQLiteNotices:
    """The `NoticeStore` of an SQLite database."""

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


def _all(db: "sqlite3.Connection") -> list[Wording]:
    return [wording_of(row) for row in db.execute(f"SELECT {READ} FROM notices ORDER BY added_at, notice")]


def _retire(db: "sqlite3.Connection", ledger: Ledger, notice_id: str, at: int, note: Note | None) -> bool:
    sql = "UPDATE notices SET retired_at = ? WHERE notice = ? AND retired_at IS NULL"
    if db.execute(sql, (at, notice_id)).rowcount == 0:
        return db.execute("SELECT count(*) FROM notices WHERE notice = ?", (notice_id,)).fetchone()[0] > 0
    ledger.add(RetiredEntry(notice_id, at, tuple(on_offer(_all(db)))))
    if note is not None:
        access_log.append(db, note)
    return True


def _add(db: "sqlite3.Connection", wordings: Sequence[Wording], at: int, note: Note | None) -> None:
    # In the transaction that inserts: two processes may add the same notice at the same time.
    if not is_new(wordings, [known for known in _all(db) if known.id == wordings[0].id]):
        return
    sql = "INSERT INTO notices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    db.executemany(sql, [row_of(wording, at) for wording in wordings])
    if note is not None:
        access_log.append(db, note)
