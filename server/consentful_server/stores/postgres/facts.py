"""The facts of a database as rows."""

from collections.abc import Mapping

from .connection import Connection
from .database import Database
from .placeholders import pairs


class PostgresFacts:
    """The `FactStore` of a PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[str, bytes]:
        return dict(pairs(await self._database.fetch("SELECT name, value FROM facts")))

    async def state(self, facts: Mapping[str, bytes]) -> None:
        await self._database.writer.write(lambda db: insert(db, facts))


async def insert(db: Connection, facts: Mapping[str, bytes]) -> None:
    """Insert facts; one whose name is known stays as it is."""
    sql = "INSERT INTO facts VALUES ($1, $2) ON CONFLICT DO NOTHING"
    await db.executemany(sql, list(facts.items()))
