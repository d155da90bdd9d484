"""Tombstones, retractions and the places of the feed, as rows that are brought to what the ledger says."""

from collections.abc import Mapping, Sequence

from ...archive.store import Retraction, Tombstone
from . import dialog_rows as rows
from . import ledger_length, numbers
from .connection import Connection
from .database import Database


class PostgresRemains:
    """The `RemainsStore` of a PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unknown(self, dialog_ids: Sequence[str]) -> list[str]:
        return await self._database.read(lambda db: _unknown(db, dialog_ids))

    async def add(self, tombstones: Sequence[Tombstone], retractions: Sequence[Retraction]) -> None:
        await self._database.writer.write(lambda db: _add(db, tombstones, retractions))

    async def move_on(self, place: int) -> None:
        await self._database.writer.write(lambda db: numbers.draw(db, "erasures", 0, above=place))

    async def retractions(self) -> list[Retraction]:
        sql = "SELECT dialog_id, owner, mark, retracted_at FROM retractions ORDER BY retracted_at"
        return [rows.retracted(row) for row in await self._database.fetch(sql)]

    async def ledgers(self) -> dict[str, int]:
        return await self._database.look_up(ledger_length.lengths)

    async def set_ledgers(self, lengths: Mapping[str, int]) -> None:
        await self._database.writer.write(lambda db: ledger_length.replace(db, lengths))


async def _add(db: Connection, tombstones: Sequence[Tombstone], retractions: Sequence[Retraction]) -> None:
    unknown = set(await _unknown(db, [stone.dialog_id for stone in tombstones]))  # asked again under the write lock
    for stone in tombstones:
        if stone.dialog_id in unknown:
            await rows.insert_tombstone(db, stone)
    for retraction in retractions:
        await rows.insert_retraction(db, retraction)


async def _unknown(db: Connection, dialog_ids: Sequence[str]) -> list[str]:
    found = await db.fetch(
        "SELECT w.id FROM unnest($1::text[]) AS w (id)"
        " WHERE NOT EXISTS (SELECT 1 FROM tombstones t WHERE t.dialog_id = w.id)"
        " AND NOT EXISTS (SELECT 1 FROM dialogs d WHERE d.dialog_id = w.id)",
        list(dialog_ids),
    )
    return [row[0] for row in found]
