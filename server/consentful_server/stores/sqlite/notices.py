"""Notices as rows, one for each language."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from ...access_log.store import Note
from ...clock import Clock, to_micros
from ...consent.notices import Terms, Wording, is_new, on_offer
from ...privacy.ledger import Ledger, RetiredEntry
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
    rows = db.execute(
        "SELECT notice, language, text, purposes, controller, contact, retention_days, terms, added_at, retired_at"
        " FROM notices ORDER BY added_at, notice"
    )
    return [
        Wording(
            notice,
            language,
            text,
            tuple(json.loads(purposes)),
            controller,
            contact,
            timedelta(days=days),
            msgspec.json.decode(terms, type=Terms),
            added,
            retired,
        )
        for notice, language, text, purposes, controller, contact, days, terms, added, retired in rows
    ]


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
    db.executemany(
        "INSERT INTO notices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
        [
            (
                w.id,
                w.language,
                w.sha256,
                w.text,
                json.dumps(w.purposes),
                w.controller,
                w.contact,
                w.retention.days,
                at,
                msgspec.json.encode(w.terms).decode(),
            )
            for w in wordings
        ],
    )
    if note is not None:
        access_log.append(db, note)
