"""The last trusted time as a row."""

from .database import Database


class PostgresTrustedTime:
    """The `TrustedTime` of a PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def last(self) -> int | None:
        return await self._database.fetchval("SELECT at FROM trusted_time")

    async def trust(self, at: int) -> None:
        sql = 'INSERT INTO trusted_time VALUES (1, $1) ON CONFLICT ("only") DO UPDATE SET at = excluded.at'
        await self._database.writer.write(lambda db: db.execute(sql, at))
