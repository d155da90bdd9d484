"""The end of a store in PostgreSQL: its tables are dropped, and the facts state that it has ended.

PostgreSQL removes the files of dropped tables. Rows remain in its write-ahead log, in replicas and in backups: what is
sealed opens with no key any more, and what is not, such as ids of dialogs, goes when those are deleted.
"""

from typing import Final

from ...errors import BadDatabase
from ..tables import DECOMMISSIONED
from .claims import is_claimed
from .connection import Connection
from .writer import LOCK

_KEPT: Final = ("facts", "schema_migrations")


async def check_idle(db: Connection, name: str) -> None:
    """Check that no process writes to the database.

    Raises:
        BadDatabase: If one does.
    """
    if await is_claimed(db):
        raise BadDatabase(
            f"{name} is in use by a server or a command, or by one that was killed in the last five minutes; "
            "stop it, and run this again; nothing was changed"
        )


async def destroy(db: Connection) -> int:
    """Drop every table, and state that this was done, in one transaction; return how many tables with data are left.

    They are dropped, not emptied: the access log refuses to be emptied.
    """
    await db.execute(f"BEGIN; {LOCK}")
    try:
        if names := await _tables(db):
            await db.execute(f"DROP TABLE {', '.join(names)} CASCADE")
        await db.execute("DELETE FROM facts")
        await db.execute("INSERT INTO facts VALUES ($1, $2)", DECOMMISSIONED, b"")
        await db.execute("COMMIT")
    except BaseException:
        await db.execute("ROLLBACK")
        raise
    return len(await _tables(db))


async def _tables(db: Connection) -> list[str]:
    rows = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    return [f'"{row[0]}"' for row in rows if row[0] not in _KEPT]
