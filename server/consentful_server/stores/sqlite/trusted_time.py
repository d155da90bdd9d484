"""The last trusted time as a row."""

from .database import Database


class SQLiteTrustedTime:
    """The `TrustedTime` of an SQLite database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def last(self) -> int | None:
        row = await self._database.read(lambda db: db.execute("SELECT at FROM trusted_time").fetchone())
        return row[0] if row else None

    async def trust(self, at: int) -> None:
        sql = "INSERT OR REPLACE INTO trusted_time VALUES (1, ?)"
        await self._database.writer.write(lambda db: db.execute(sql, (at,)), erases=True)
