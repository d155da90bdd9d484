"""The facts of a database as rows."""

from collections.abc import Mapping

from .database import Database


class SQLiteFacts:
    """The `FactStore` of an SQLite database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[str, bytes]:
        return await self._database.read(lambda db: dict(db.execute("SELECT name, value FROM facts").fetchall()))

    async def state(self, facts: Mapping[str, bytes]) -> None:
        await self._database.writer.write(
            lambda db: db.executemany("INSERT INTO facts VALUES (?, ?) ON CONFLICT DO NOTHING", list(facts.items()))
        )
