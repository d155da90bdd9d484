"""Checkpoints run beside the writer, so that hardly a COMMIT has to do one; and an erasure waits for its turn."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from consentful_server.stores.sqlite.connection import connect, sqlite3
from consentful_server.stores.sqlite.writer import Writer
from consentful_server.testing import FakeClock

PAGES, AUTOMATIC = 30, 4_000
"""What a job writes here, and how many pages the WAL has when SQLite does a checkpoint by itself."""


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncGenerator[Writer]:
    opened = await Writer.open(tmp_path / "test.db", FakeClock())
    await opened.write(lambda db: db.execute("CREATE TABLE things (content BLOB)"))
    yield opened
    await opened.close()


@pytest.fixture
def db(tmp_path: Path, writer: Writer) -> Iterator[sqlite3.Connection]:
    """Another connection, by which nothing is written."""
    with closing(connect(tmp_path / "test.db", read_only=True)) as opened:
        yield opened


def fill(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO things VALUES (randomblob(?))", (PAGES * 4096,))


def wal(db: sqlite3.Connection) -> tuple[int, int]:
    """Return how many frames the WAL has, and how many of them are in the database."""
    return db.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()[1:]


async def settled(writer: Writer) -> None:
    """Wait for a checkpoint that was begun."""
    if looking := writer._checkpoints._looking:  # pyright: ignore[reportPrivateUsage]
        await looking


class Turn:
    """Stands in for the lock of `turn`, held by a checkpoint until `ended`."""

    def __init__(self) -> None:
        self.awaited, self.ended = threading.Event(), threading.Event()

    def __enter__(self) -> None:
        self.awaited.set()
        assert self.ended.wait(10)

    def __exit__(self, *_: object) -> None: ...


async def test_what_is_committed_is_moved_into_the_database_beside_the_writer(
    writer: Writer, db: sqlite3.Connection
) -> None:
    for _ in range(60):
        await writer.write(fill)
    await settled(writer)

    frames, moved = wal(db)
    assert frames < AUTOMATIC, "SQLite did none by itself"
    assert moved >= 45 * PAGES


async def test_the_log_starts_again_before_a_commit_would_do_a_checkpoint(
    writer: Writer, db: sqlite3.Connection
) -> None:
    longest = 0
    for _ in range(2 * AUTOMATIC // PAGES):
        await writer.write(fill)
        await settled(writer)
        longest = max(longest, wal(db)[0])

    assert longest < AUTOMATIC


async def test_few_pages_are_not_worth_a_checkpoint(writer: Writer, db: sqlite3.Connection) -> None:
    for _ in range(60):
        await writer.write(lambda db: db.execute("INSERT INTO things VALUES (x'00')"))
    await settled(writer)

    assert wal(db)[1] == 0


async def test_an_erasure_waits_for_a_checkpoint_and_is_clean(writer: Writer, db: sqlite3.Connection) -> None:
    await writer.write(fill)
    turn = writer._checkpoints.turn = Turn()  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    erasing = asyncio.create_task(writer.erase(lambda db: db.execute("DELETE FROM things").rowcount))
    assert await asyncio.to_thread(turn.awaited.wait, 10)

    assert db.execute("SELECT count(*) FROM things").fetchone() == (0,), "it is committed"
    assert not erasing.done()

    turn.ended.set()
    assert await erasing == (1, True)
    assert wal(db)[0] == 0
