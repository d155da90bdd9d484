"""Whether servers or commands have a database open: each process that writes has claimed a ledger by a lease."""

from typing import Final

from .connection import Connection

_CLAIMED: Final = (
    "SELECT EXISTS (SELECT 1 FROM leases WHERE name LIKE '%.ledger'"
    " AND until > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"
)


async def is_claimed(db: Connection) -> bool:
    """Return whether a process writes to the database now; one that was killed counts for up to five minutes."""
    if await db.fetchval("SELECT to_regclass('leases')") is None:
        return False
    return await db.fetchval(_CLAIMED)
