"""Leases as rows."""

from datetime import timedelta
from typing import Final

from ...clock import Clock, to_micros
from .database import Database

_TAKE: Final = (
    "INSERT INTO leases AS l VALUES ($1, $2, $3::bigint + $4::bigint)"
    " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until"
    " WHERE l.holder = $2 OR l.until <= $3 OR l.until > $3 + $4"  # the last: from before the clock was set back
)
_MICROSECOND: Final = timedelta(microseconds=1)


class PostgresLeases:
    """The `Leases` of a PostgreSQL database. Taking one is a single statement, so two processes cannot both succeed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def take(self, name: str, holder: str, length: timedelta) -> bool:
        values = (name, holder, to_micros(self._clock.now()), length // _MICROSECOND)
        return await self._database.writer.write(lambda db: db.execute(_TAKE, *values)) == "INSERT 0 1"

    async def release(self, name: str, holder: str) -> None:
        sql = "DELETE FROM leases WHERE name = $1 AND holder = $2"
        await self._database.writer.write(lambda db: db.execute(sql, name, holder))
