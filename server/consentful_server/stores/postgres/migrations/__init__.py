"""Numbered SQL files that bring a database to this program's schema, all pending ones in one transaction."""

from importlib import resources
from typing import NamedTuple

from ...steps import Step, refuse_newer
from ..connection import Connection
from ..writer import LOCK


class Migration(NamedTuple):
    """One step: `0001_store.sql` is number 1, named `store`."""

    number: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """Return every step, in order."""
    files = (file for file in resources.files(__name__).iterdir() if file.name.endswith(".sql"))
    steps = [(file.name.removesuffix(".sql").partition("_"), file.read_text("utf-8")) for file in files]
    return sorted(Migration(int(number), name, sql) for (number, _, name), sql in steps)


async def migrate(db: Connection) -> list[Step]:
    """Bring the database to this program's schema; return the steps that were applied.

    Raises:
        BadDatabase: If the schema is newer than this program; nothing is changed.
    """
    if await version(db) == migrations()[-1].number:
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
    return [await _apply(db, step) for step in await pending(db)]


async def pending(db: Connection) -> list[Migration]:
    """Return the steps that are not applied yet.

    Raises:
        BadDatabase: If the schema is newer than this program.
    """
    steps, done = migrations(), await version(db)
    refuse_newer(done, steps[-1].number)
    return [step for step in steps if step.number > done]


async def version(db: Connection) -> int:
    """Return the number of the last step that was applied; 0 before the first."""
    if await db.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return 0
    return await db.fetchval("SELECT coalesce(max(number), 0) FROM schema_migrations")


async def _apply(db: Connection, step: Migration) -> Step:
    await db.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (number BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())"
    )
    await db.execute(step.sql)
    await db.execute("INSERT INTO schema_migrations (number, name) VALUES ($1, $2)", step.number, step.name)
    return Step(step.number, step.name)
