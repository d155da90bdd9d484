"""The readers of an SQLite database: long reads leave one of them to look-ups, whatever becomes of their callers."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from consentful_server.stores.sqlite.connection import sqlite3
from consentful_server.stores.sqlite.database import MOST_TOGETHER, READERS, Database
from consentful_server.testing import FakeClock


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    opened = await Database.open(tmp_path / "test.db", FakeClock(), lambda _: None, None)
    yield opened
    await opened.close()


def one(db: sqlite3.Connection) -> int:
    return db.execute("SELECT 1").fetchone()[0]


class Slow:
    """Work that goes on until it is told to end, on as many threads as run it."""

    def __init__(self) -> None:
        self.running = threading.Semaphore(0)
        self.end = threading.Event()

    def __call__(self, _db: sqlite3.Connection) -> int:
        self.running.release()
        assert self.end.wait(10)
        return 2

    async def fills(self, count: int) -> None:
        """Wait until so many run."""
        for _ in range(count):
            assert await asyncio.to_thread(self.running.acquire, timeout=10)


async def test_a_look_up_never_waits_for_long_reads(database: Database) -> None:
    slow = Slow()
    reads = [asyncio.create_task(database.read(slow)) for _ in range(READERS * 3)]
    await slow.fills(READERS - 1)

    try:
        async with asyncio.timeout(5):
            assert await database.look_up(one) == 1
    finally:
        slow.end.set()

    assert await asyncio.gather(*reads) == [2] * READERS * 3


async def test_a_read_whose_caller_has_gone_keeps_its_reader_until_it_ends(database: Database) -> None:
    slow = Slow()
    reads = [asyncio.create_task(database.read(slow)) for _ in range(READERS - 1)]
    await slow.fills(READERS - 1)
    for read in reads:
        read.cancel()
    await asyncio.wait(reads)
    more = [asyncio.create_task(database.read(one)) for _ in range(READERS)]

    try:
        async with asyncio.timeout(5):
            assert [await database.look_up(one) for _ in range(10)] == [1] * 10
        assert not any(task.done() for task in more)
    finally:
        slow.end.set()

    assert await asyncio.gather(*more) == [1] * READERS


async def test_a_caller_that_goes_while_it_waits_takes_no_reader(database: Database) -> None:
    slow = Slow()
    reads = [asyncio.create_task(database.read(slow)) for _ in range(READERS - 1)]
    await slow.fills(READERS - 1)
    waiting = [asyncio.create_task(database.read(one)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    slow.end.set()
    await asyncio.gather(*reads)

    assert await asyncio.gather(*(database.read(one) for _ in range(READERS * 2))) == [1] * READERS * 2


def count(db: sqlite3.Connection) -> int:
    return db.execute("SELECT count(*) FROM seen").fetchone()[0]


async def see(database: Database) -> None:
    """Commit one more row."""
    await database.writer.write(lambda db: db.execute("CREATE TABLE IF NOT EXISTS seen (number INTEGER)"))
    await database.writer.write(lambda db: db.execute("INSERT INTO seen VALUES (1)"))


async def test_pages_that_wait_are_read_together_and_a_later_one_sees_what_was_committed_before_it(
    database: Database,
) -> None:
    await see(database)
    slow = Slow()
    began, goes_on = threading.Event(), threading.Event()

    def first(db: sqlite3.Connection) -> int:
        found = count(db)
        began.set()
        assert goes_on.wait(10)
        return found

    busy, *together = [asyncio.create_task(database.read_page(work)) for work in (slow, first, count)]
    await slow.fills(1)
    slow.end.set()
    assert await asyncio.to_thread(began.wait, 10)
    await see(database)
    later = asyncio.create_task(database.read_page(count))
    await asyncio.sleep(0)
    goes_on.set()

    assert await asyncio.gather(busy, *together, later) == [2, 1, 1, 2]


async def test_pages_of_a_run_that_takes_long_are_read_in_the_next_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consentful_server.stores.sqlite.database._RUN_S", 0.0)
    order: list[int] = []
    runs: list[str] = []
    for reader in database._readers:  # pyright: ignore[reportPrivateUsage]
        await reader.set_trace_callback(runs.append)  # pyright: ignore[reportUnknownMemberType]

    def numbered(number: int) -> Callable[[sqlite3.Connection], bool]:
        def work(db: sqlite3.Connection) -> bool:
            order.append(number)
            return db.in_transaction

        return work

    pages = [asyncio.create_task(database.read_page(numbered(number))) for number in range(MOST_TOGETHER + 2)]

    assert await asyncio.gather(*pages) == [True] * len(pages)
    assert order == list(range(len(pages)))
    assert runs == ["BEGIN", "ROLLBACK"] * len(pages)


async def test_a_page_that_fails_fails_alone(database: Database) -> None:
    def fail(_: sqlite3.Connection) -> int:
        raise ValueError("this one")

    pages = [database.read_page(work) for work in (one, one, fail, one)]

    found = await asyncio.gather(*pages, return_exceptions=True)

    assert [*found[:2], found[3]] == [1, 1, 1]
    assert isinstance(found[2], ValueError)


async def test_pages_do_not_wait_for_one_that_waits_for_the_disk(database: Database) -> None:
    slow = Slow()
    pages = [asyncio.create_task(database.read_page(slow))]
    await slow.fills(1)

    try:
        async with asyncio.timeout(5):
            assert await database.read_page(one) == 1
    finally:
        slow.end.set()

    assert await asyncio.gather(*pages) == [2]


async def test_pages_never_take_the_reader_of_look_ups(database: Database) -> None:
    slow = Slow()
    pages = [asyncio.create_task(database.read_page(slow)) for _ in range(MOST_TOGETHER * READERS)]
    await slow.fills(READERS - 1)

    try:
        async with asyncio.timeout(5):
            assert await database.look_up(one) == 1
    finally:
        slow.end.set()

    assert await asyncio.gather(*pages) == [2] * len(pages)
