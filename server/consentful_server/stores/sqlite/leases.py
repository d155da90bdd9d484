"""Leases as rows."""

from datetime import timedelta
from typing import Final

from ...clock import Clock, to_micros
from .database import Database

_TAKE: Final = (
    "INSERT INTO leases VALUES (?1, ?2, ?3 + ?4) ON CONFLICT (name) DO UPDATE SET holder = ?2, until = ?3 + ?4"
    " WHERE holder = ?2 OR until <= ?3 OR until > ?3 + ?4"  # the last: from before the clock was set back
)
_MICROSECOND: Final = timedelta(microseconds=1)


class SQLiteLeases:
    """The `Leases` of an SQLite database. Taking one is a single statement, so two processes cannot both succeed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def take(self, name: str, holder: str, length: timedelta) -> bool:
        values = (name, holder, to_micros(self._clock.now()), length // _MICROSECOND)
        return await self._database.writer.write(lambda db: db.execute(_TAKE, values).rowcount == 1, erases=True)

    async def release(self, name: str, holder: str) -> None:
        sql = "DELETE FROM leases WHERE name = ? AND holder = ?"
        await self._database.writer.write(lambda db: db.execute(sql, (name, holder)), erases=True)
