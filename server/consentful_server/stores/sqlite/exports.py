"""Exports and the feed of erasures as rows."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ...access_log.store import Logged, Note
from ...exports.store import ErasedDialog, Export
from . import access_log
from .database import Database

if TYPE_CHECKING:
    import sqlite3


class SQLiteExports:
    """The `ExportStore` of an SQLite database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, export: Export, note: Note) -> None:
        await self._database.writer.write(lambda db: _add(db, export, note))

    async def find(self, export_id: str) -> Export | None:
        return await self._database.read(lambda db: _find(db, export_id))

    async def entries(self, export_id: str) -> list[Logged]:
        return await self._database.read(lambda db: access_log.of_subject(db, export_id))

    async def erased(self, after: int, limit: int) -> list[ErasedDialog]:
        return await self._database.read(lambda db: _erased(db, after, limit))

    async def place(self) -> int:
        sql = "SELECT coalesce(max(place), 0) FROM erasures"
        return await self._database.read(lambda db: db.execute(sql).fetchone()[0])

    async def follow(self, who: str, place: int, at: int) -> None:
        # The place only grows: two requests of one recipient may arrive in either order.
        sql = (
            "INSERT INTO feed_readers VALUES (?, ?, ?) ON CONFLICT (who) DO UPDATE"
            " SET place = excluded.place, read_at = excluded.read_at WHERE excluded.place > place"
        )
        await self._database.writer.write(lambda db: db.execute(sql, (who, place, at)))

    async def followed(self) -> Mapping[str, int]:
        sql = "SELECT who, place FROM feed_readers"
        return await self._database.read(lambda db: dict(db.execute(sql).fetchall()))


def _add(db: "sqlite3.Connection", export: Export, note: Note) -> None:
    access_log.append(db, note)
    db.execute("INSERT INTO exports VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(export))


def _find(db: "sqlite3.Connection", export_id: str) -> Export | None:
    row = db.execute("SELECT * FROM exports WHERE id = ?", (export_id,)).fetchone()
    if row is None:
        return None
    fields: dict[str, Any] = dict(zip(Export.__struct_fields__, row, strict=True))
    fields["complete"] = bool(fields["complete"])
    return Export(**fields)


def _erased(db: "sqlite3.Connection", after: int, limit: int) -> list[ErasedDialog]:
    rows = db.execute(
        "SELECT e.place, t.dialog_id, t.number, t.erased_at, t.purposes FROM erasures e"
        " JOIN tombstones t ON t.dialog_id = e.dialog_id WHERE e.place > ? ORDER BY e.place LIMIT ?",
        (after, limit),
    )
    return [
        ErasedDialog(place, dialog_id, number, erased_at, tuple(json.loads(purposes)))
        for place, dialog_id, number, erased_at, purposes in rows
    ]
