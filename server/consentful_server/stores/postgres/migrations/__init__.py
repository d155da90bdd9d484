"""Numbered SQL files that bring a database to this program's schema, all pending ones in one transaction.

Servers of two releases run side by side while they are replaced one after the other. A step that lets the release
before go on, because it only adds what that one need not know of, says so in its first line, `BESIDE`, and why. Every
other step breaks earlier releases: it is applied only while none is running, and none starts afterwards. A new
table with something of a dialog breaks them, because they would not erase it.
"""

from importlib import resources
from typing import Final, NamedTuple

from ....errors import BadDatabase
from ...steps import Step, refuse_newer
from ..claims import is_claimed
from ..connection import Connection
from ..writer import LOCK

BESIDE: Final = "-- Earlier releases may run beside this:"


class Migration(NamedTuple):
    """One step: `0001_store.sql` is number 1, named `store`."""

    number: int
    name: str
    sql: str

    @property
    def breaks(self) -> bool:
        """Whether a server of an earlier release must not run on the schema after this step."""
        return not self.sql.startswith(BESIDE)


def migrations() -> list[Migration]:
    """Return every step, in order."""
    files = (file for file in resources.files(__name__).iterdir() if file.name.endswith(".sql"))
    steps = [(file.name.removesuffix(".sql").partition("_"), file.read_text("utf-8")) for file in files]
    return sorted(Migration(int(number), name, sql) for (number, _, name), sql in steps)


async def migrate(db: Connection) -> list[Step]:
    """Bring the database to this program's schema; return the steps that were applied.

    Raises:
        BadDatabase: If the schema is newer than this program, or a step breaks servers of an earlier release that run;
            nothing is changed.
    """
    if not await pending(db):
        return []
    await db.execute(f"BEGIN; {LOCK}")  # two processes may start at the same time, and others may be writing
    try:
        applied = await apply(db)
        await db.execute("COMMIT")
    except BaseException:
        await db.execute("ROLLBACK")
        raise
    return applied


async def apply(db: Connection) -> list[Step]:
    """Apply the steps that are pending, inside a transaction that has the write lock; return them.

    Raises:
        BadDatabase: If the schema is newer than this program.
    """
    steps = await pending(db)
    if await version(db) and any(step.breaks for step in steps) and await is_claimed(db):
        raise BadDatabase(
            "servers of an earlier version run on this database, or were killed in the last five minutes, and cannot"
            " run beside this one; stop all of them, then start this one; nothing was changed"
        )
    return [await _apply(db, step) for step in steps]


async def pending(db: Connection) -> list[Migration]:
    """Return the steps that are not applied yet.

    Raises:
        BadDatabase: If the schema is newer than this program.
    """
    steps, done = migrations(), await version(db)
    refuse_newer(min(done, await _breaking(db)), steps[-1].number)
    return [step for step in steps if step.number > done]


async def version(db: Connection) -> int:
    """Return the number of the last step that was applied; 0 before the first."""
    if await db.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return 0
    return await db.fetchval("SELECT coalesce(max(number), 0) FROM schema_migrations")


async def _breaking(db: Connection) -> int:
    """Return the number of the last step that was applied and breaks earlier releases."""
    # The column is missing where no release has written it yet.
    sql = (
        "SELECT coalesce(max(number) FILTER (WHERE coalesce((to_jsonb(m) ->> 'breaks')::boolean, true)), 0)"
        " FROM schema_migrations m"
    )
    return await db.fetchval(sql) if await version(db) else 0


async def _apply(db: Connection, step: Migration) -> Step:
    await db.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (number BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())"
    )
    await db.execute("ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS breaks BOOLEAN NOT NULL DEFAULT true")
    await db.execute(step.sql)
    sql = "INSERT INTO schema_migrations (number, name, breaks) VALUES ($1, $2, $3)"
    await db.execute(sql, step.number, step.name, step.breaks)
    return Step(step.number, step.name)
