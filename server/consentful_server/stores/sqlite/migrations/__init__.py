"""Numbered SQL files that bring a database to this program's schema, each in its own transaction."""

import base64
from collections.abc import Iterator
from importlib import resources
from typing import NamedTuple

from ...steps import Step, refuse_newer
from ..connection import sqlite3
from ..kinds import customer_key


class Migration(NamedTuple):
    """One step: `0001_dialogs.sql` is number 1, named `dialogs`."""

    number: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """Return every step, in order."""
    files = (file for file in resources.files(__name__).iterdir() if file.name.endswith(".sql"))
    steps = [(file.name.removesuffix(".sql").partition("_"), file.read_text("utf-8")) for file in files]
    return sorted(Migration(int(number), name, sql) for (number, _, name), sql in steps)


def migrate(db: sqlite3.Connection) -> list[Step]:
    """Bring the database to this program's schema; return the steps that were applied.

    Raises:
        BadDatabase: If the schema is newer than this program; nothing is changed.
    """
    db.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT"
    )
    # Step 11 reads the ids of erased dialogs from the signed reports of earlier versions.
    db.create_function("jws_claims", 1, _claims, deterministic=True)
    db.create_function("customer_key", 1, customer_key, deterministic=True)  # for step 15
    steps = pending(db)
    for step in steps:
        _apply(db, step)
    return [Step(step.number, step.name) for step in steps]


def pending(db: sqlite3.Connection) -> list[Migration]:
    """Return the steps that are not applied yet.

    Raises:
        BadDatabase: If the schema is newer than this program.
    """
    steps, done = migrations(), version(db)
    refuse_newer(done, steps[-1].number)
    return [step for step in steps if step.number > done]


def version(db: sqlite3.Connection) -> int:
    """Return the number of the last step that was applied; 0 before the first."""
    if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'").fetchone() is None:
        return 0
    return db.execute("SELECT coalesce(max(number), 0) FROM schema_migrations").fetchone()[0]


def _apply(db: sqlite3.Connection, step: Migration) -> None:
    """Apply a step, unless another process has applied it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        if version(db) < step.number:  # asked again under the write lock: two processes may start at the same time
            for statement in statements(step.sql):
                db.execute(statement)
            db.execute(
                "INSERT INTO schema_migrations VALUES (?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
                (step.number, step.name),
            )
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite itself rolls back after some errors, as of a full disk
            db.execute("ROLLBACK")
        raise


def statements(sql: str) -> Iterator[str]:
    """Yield the statements of a file without their comments. SQLite finds where one ends, triggers included."""
    statement = ""
    for line in sql.splitlines():
        statement += line.partition("--")[0].rstrip() + "\n"
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""
    if statement.strip():
        raise ValueError("the last statement of a migration has no semicolon")


def _claims(token: str) -> str:
    """Return the claims of a compact JWS (RFC 7515) as JSON, without verifying its signature."""
    payload = token.split(".")[1]
    return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
