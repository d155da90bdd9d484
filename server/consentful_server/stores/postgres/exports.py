"""Exports and the feed of erasures as rows."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ...access_log.store import Logged, Note
from ...exports.store import ErasedDialog, Export
from . import access_log
from .access_log import PostgresAccessLog
from .connection import Connection
from .database import Database
from .placeholders import pairs
from .purposes import purposes_of

# The place only grows: two requests of one recipient may arrive in either order.
_FOLLOW: Final = (
    "INSERT INTO feed_readers AS f VALUES ($1, $2, $3) ON CONFLICT (who) DO UPDATE"
    " SET place = excluded.place, read_at = excluded.read_at WHERE excluded.place > f.place"
)


class PostgresExports:
    """The `ExportStore` of a PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._access_log = PostgresAccessLog(database)

    async def add(self, export: Export, note: Note) -> None:
        await self._database.writer.write(lambda db: _add(db, export, note))

    async def find(self, export_id: str) -> Export | None:
        row = await self._database.fetchrow("SELECT * FROM exports WHERE id = $1", export_id)
        if row is None:
            return None
        fields: dict[str, Any] = dict(zip(Export.__struct_fields__, row, strict=True))
        fields["complete"] = bool(fields["complete"])
        return Export(**fields)

    async def entries(self, export_id: str) -> list[Logged]:
        return await self._access_log.of_subject(export_id)

    async def erased(self, after: int, limit: int) -> list[ErasedDialog]:
        sql = (
            "SELECT e.place, t.dialog_id, t.number, t.erased_at, t.purposes FROM erasures e"
            " JOIN tombstones t ON t.dialog_id = e.dialog_id WHERE e.place > $1 ORDER BY e.place LIMIT $2"
        )
        rows = await self._database.fetch(sql, after, limit)
        return [
            ErasedDialog(place, dialog_id, number, erased_at, purposes_of(purposes))
            for place, dialog_id, number, erased_at, purposes in rows
        ]

    async def place(self) -> int:
        return await self._database.fetchval("SELECT coalesce(max(place), 0) FROM erasures")

    async def follow(self, who: str, place: int, at: int) -> None:
        await self._database.writer.write(lambda db: db.execute(_FOLLOW, who, place, at))

    async def followed(self) -> Mapping[str, int]:
        return dict(pairs(await self._database.fetch("SELECT who, place FROM feed_readers")))


async def _add(db: Connection, export: Export, note: Note) -> None:
    await access_log.append(db, [note])
    fields = msgspec.structs.asdict(export) | {"complete": int(export.complete)}
    sql = "INSERT INTO exports VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    await db.execute(sql, *fields.values())
