"""Tombstones, retractions and the places of the feed, as rows that are brought to what the ledger says."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ...archive.store import Retraction, Tombstone
from . import dialog_rows as rows
from . import ledger_length
from .database import Database

if TYPE_CHECKING:
    import sqlite3

_IS_UNKNOWN: Final = (
    "NOT EXISTS (SELECT 1 FROM tombstones WHERE dialog_id = value)"
    " AND NOT EXISTS (SELECT 1 FROM dialogs WHERE dialog_id = value)"
)


class SQLiteRemains:
    """The `RemainsStore` of an SQLite database. Its writes may use the disk reserve: they complete erasures."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unknown(self, dialog_ids: Sequence[str]) -> list[str]:
        return await self._database.read(lambda db: _unknown(db, dialog_ids))

    async def add(self, tombstones: Sequence[Tombstone], retractions: Sequence[Retraction]) -> None:
        await self._database.writer.write(lambda db: _add(db, tombstones, retractions), erases=True)

    async def move_on(self, place: int) -> None:
        await self._database.writer.write(lambda db: move_on(db, "erasures", place), erases=True)

    async def retractions(self) -> list[Retraction]:
        sql = "SELECT dialog_id, owner, mark, retracted_at FROM retractions ORDER BY retracted_at"
        return await self._database.read(lambda db: [rows.retracted(row) for row in db.execute(sql)])

    async def ledgers(self) -> dict[str, int]:
        return await self._database.read(ledger_length.lengths)

    async def set_ledgers(self, lengths: Mapping[str, int]) -> None:
        await self._database.writer.write(lambda db: ledger_length.replace(db, lengths))


def move_on(db: "sqlite3.Connection", table: str, number: int) -> None:
    """Continue the numbers of an AUTOINCREMENT table after this one, unless they are past it already."""
    db.execute("UPDATE sqlite_sequence SET seq = ?2 WHERE name = ?1 AND seq < ?2", (table, number))
    db.execute(  # before its first row, the table has no sequence
        "INSERT INTO sqlite_sequence SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)",
        (table, number),
    )


def _add(db: "sqlite3.Connection", tombstones: Sequence[Tombstone], retractions: Sequence[Retraction]) -> None:
    unknown = set(_unknown(db, [stone.dialog_id for stone in tombstones]))  # asked again under the write lock
    for stone in tombstones:
        if stone.dialog_id in unknown:
            rows.insert_tombstone(db, stone)
    for retraction in retractions:
        rows.insert_retraction(db, retraction)


def _unknown(db: "sqlite3.Connection", dialog_ids: Sequence[str]) -> list[str]:
    sql = f"SELECT value FROM json_each(?) WHERE {_IS_UNKNOWN}"
    return [row[0] for row in db.execute(sql, (json.dumps(dialog_ids),))]
