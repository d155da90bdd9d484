"""One SQLite database: one writer that commits in groups, and four readers with a connection and a thread each.

A reader's connection is in one of two places: in `_idle`, whose last is taken first because its page cache is warm, or
taken by a run. A run is BEGIN, one or several reads and ROLLBACK, as one piece of work on the connection's thread: no
transaction is open while the event loop runs other tasks.

    read        of any length; one a run
    read_page   of a page; those that wait share a run, and wait for the run of pages before
    look_up     of a few rows; one a run

All readers but one are for all of them, the last for look-ups alone, so that the look-up of a key or a dialog never
waits for lists, however many of them there are.

Pages share a run because the GIL lets one be opened at a time anyway, and because beginning is a third of what a page
costs: hops between threads, locks of the database, and what has left the processor's caches and, after a commit, the
connection's page cache. A run that takes long waits for the disk, not for the GIL: then another one begins beside it.

Races, and the line that closes each:

(R1) A writer commits while a reader works: the reader's transaction is a snapshot, so everything it reads was stored at
     one moment. Each read of a run was asked for before its BEGIN, so it sees what was committed before it was asked.
(R2) An erasure wants to truncate the write-ahead log while a reader uses it: a run lasts as long as one block or a few
     pages, then its ROLLBACK frees the log. Until then the erasure is answered as not clean.
(R3) The task that reads is cancelled while the connection's thread still works: only the read's own future is
     cancelled, and the connection goes back to `_idle` when the run ends. Otherwise look-ups would be given a
     connection that is busy.
(R4) `close` while reads are queued: each connection finishes its queue first. The caller has stopped serving before.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from ...clock import Clock
from .connection import SQLiteConnection, open_connection, sqlite3
from .reserve import Reserve
from .writer import BeforeCommit, Writer

T = TypeVar("T")

READERS: Final = 4
MOST_TOGETHER: Final = 8
"""Pages in one run at most: the first of them is answered with the last."""
_RUN_S: Final = 0.01
"""After so long a run reads no further page: the largest take as long each, and an erasure waits for its end (R2)."""
_LONG_S: Final = 0.02
"""After so long another run of pages begins beside the one that runs."""


class _Read(NamedTuple):
    """What was asked for, and where its outcome goes."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]


_Queue: TypeAlias = deque[_Read]
_Outcome: TypeAlias = tuple[Any, Exception | None]


class Database:
    """Runs each piece of work on a suitable connection."""

    def __init__(self, writer: Writer, readers: Sequence[SQLiteConnection]) -> None:
        self.writer = writer
        self._readers = readers
        self._loop = asyncio.get_running_loop()
        self._idle = list(readers)
        self._free = len(readers) - 1
        """How many further runs may begin that are no look-ups."""
        self._look_ups, self._pages, self._reads = _Queue(), _Queue(), _Queue()
        self._page_runs = 0
        self._next_pages_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, path: Path, clock: Clock, before_commit: BeforeCommit, reserve: Reserve | None) -> "Database":
        """Open the writer and the readers; `before_commit` and `reserve` are the writer's."""
        writer = await Writer.open(path, clock, before_commit, reserve)
        return cls(writer, [await open_connection(path, read_only=True) for _ in range(READERS)])

    async def close(self) -> None:
        """Commit the waiting jobs, finish the queued reads, and close every connection."""
        await self.writer.close()
        for connection in self._readers:
            await connection.close()  # (R4)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` returns; all that it reads was stored at one moment."""
        return await self._asked(self._reads, work)

    async def read_page(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` returns, as `read` does. It takes about a millisecond."""
        return await self._asked(self._pages, work)

    async def look_up(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` returns, as `read` does. It reads a few rows, and does not wait for long reads."""
        return await self._asked(self._look_ups, work)

    async def _asked(self, queue: _Queue, work: Callable[[sqlite3.Connection], T]) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        queue.append(_Read(work, future))
        self._begin()
        return await future

    def _begin(self) -> None:
        """Begin the runs for which there is a reader."""
        while self._idle and self._run(self._look_ups):
            pass
        while self._idle and self._free and (self._run_pages() or self._run(self._reads)):
            pass

    def _run_pages(self) -> bool:
        """Run the pages that wait; return False if there are none, or if a run of pages has not taken long yet."""
        now = self._loop.time()
        if not self._page_runs or now >= self._next_pages_at:
            self._next_pages_at = now + _LONG_S
            return self._run(self._pages, MOST_TOGETHER)
        if self._pages and self._timer is None:
            self._timer = self._loop.call_at(self._next_pages_at, self._begin_beside)
        return False

    def _begin_beside(self) -> None:
        self._timer = None
        self._begin()

    def _run(self, queue: _Queue, most: int = 1) -> bool:
        """Run the first of these reads whose callers still wait; return whether there were any."""
        reads: list[_Read] = []
        while queue and len(reads) < most:
            read = queue.popleft()
            if not read.future.done():
                reads.append(read)
        if reads:
            connection = self._idle.pop()
            self._count(queue, 1)
            running = connection.begin(lambda db: _in_snapshot(db, reads))
            running.add_done_callback(partial(self._ended, connection, queue, reads))
        return bool(reads)

    def _count(self, queue: _Queue, runs: int) -> None:
        """Count runs that have begun; those that have ended are negative."""
        self._free -= runs if queue is not self._look_ups else 0
        self._page_runs += runs if queue is self._pages else 0

    def _ended(
        self,
        connection: SQLiteConnection,
        queue: _Queue,
        reads: Sequence[_Read],
        running: asyncio.Future[list[_Outcome]],
    ) -> None:
        self._idle.append(connection)  # (R3)
        self._count(queue, -1)
        error = running.exception()
        if error is None:
            done = len(running.result())
            queue.extendleft(reversed(reads[done:]))  # for the next run
            reads = reads[:done]
        outcomes = running.result() if error is None else [(None, error) for _ in reads]
        for read, (value, failure) in zip(reads, outcomes, strict=True):
            if read.future.done():
                continue
            if failure is None:
                read.future.set_result(value)
            else:
                read.future.set_exception(failure)
        self._begin()


def _in_snapshot(db: sqlite3.Connection, reads: Sequence[_Read]) -> list[_Outcome]:
    """Run reads in a read transaction, which ends with the call, and return what each returned or raised: the first of
    them, and the others until `_RUN_S` is over.
    """
    outcomes: list[_Outcome] = []
    until = time.monotonic() + _RUN_S
    db.execute("BEGIN")  # (R1) the snapshot is taken by the first statement after it
    try:
        for read in reads:
            outcomes.append(_outcome(db, read))
            if time.monotonic() >= until:
                break
        return outcomes
    finally:
        db.execute("ROLLBACK")  # (R2)


def _outcome(db: sqlite3.Connection, read: _Read) -> _Outcome:
    try:
        return read.work(db), None
    except Exception as error:  # noqa: BLE001 - its caller is told, whatever it is; the other reads go on
        return None, error
