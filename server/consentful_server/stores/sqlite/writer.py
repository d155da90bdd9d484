"""The only writer of an SQLite database in this process: group commit, one fsync for a batch of jobs.

A batch is one transaction: BEGIN IMMEDIATE, each job's work, `before_commit` (fsync of the erasure ledger), COMMIT. If
a job asks for it, the write-ahead log (WAL) is truncated afterwards. What is in the WAL otherwise is moved into the
database beside the writer (`checkpoints`). The outcomes:

    a job raises a Refusal        it has written nothing; it is refused, and the batch goes on
    any other error in the batch  ROLLBACK; each job is retried alone, so that only the faulty one fails
    COMMIT fails                  in doubt, see below
    the disk is full              the reserve is released for the jobs that erase; the others get StorageFailed
    the file was moved            each job gets StorageFailed; after the COMMIT, OutcomeUnknown (`location`)

The writer's states, which can overlap:

- In doubt (`_in_doubt`): a COMMIT failed. No connection sees its rows, yet its frames are in the WAL, and a restart
  would recover them (measured with a failing fsync). Truncating the WAL removes them: then its jobs get StorageFailed.
  If the truncation fails too, its jobs get OutcomeUnknown, later jobs StorageFailed, and the store is not ready.
- Untruncated (`_untruncated`): an erasure is committed, but the WAL may hold an earlier copy of its key. Later batches
  try the truncation again without waiting for readers; until it succeeds, erasures are answered as not clean.
- Failing (`is_failing`): the last batch failed in part, or the disk is full (`is_full`). Small writes can succeed on a
  full disk, in space that the WAL has already; so it counts as full until there is room for a large dialog.
- Displaced (`_location`): the database or its WAL is no longer at its path. Nothing is written until it is back.
- Short (`_reserve.is_short`): the reserve was released. Each batch first tries to allocate it again; while that fails,
  only jobs that erase run.

Threads: `_run_batch` and everything below it run on the connection's thread, one batch at a time. The event loop's
thread creates jobs and awaits them; besides, `SQLiteStore` reads `in_doubt`, `is_failing`, `is_full` and `last_success`
there. A stale value costs one write too many, nothing else.

Races, and the line that closes each:

(R1) Another process writes at the same time: `write_lock.begin` waits up to 5 s for its transaction to end. From then
     on nobody else writes, so what a job reads stays true until its COMMIT.
(R2) The process crashes between the ledger's fsync and COMMIT: the next start reads the ledger and erases again.
(R3) COMMIT fails and a crash follows: until the WAL is truncated, nothing else is committed, and no job of that COMMIT
     is answered with StorageFailed.
(R4) A reader, here or in another process, still uses the WAL: the truncation reports busy. All commits wait while it
     waits, so it waits shortly and not often; `truncate` repeats it, and lets others commit in between. The erasure is
     committed all the same, and answered as not clean if a reader stays. A checkpoint beside the writer would make it
     busy as well: the truncation waits for its end (`checkpoints`, R1).
(R5) An unexpected error may have written half of a job: the ROLLBACK covers the whole batch, and the retries start
     anew.
(R6) Another thread or process allocates the reserve again just after it was released: the erasure fails once more with
     a full disk, and releases it once more.
(R7) The file is moved while a batch runs: its rows are in a file that nobody will open, unless it is put back.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Generic, TypeAlias, TypeVar

from ...clock import Clock
from ...errors import OutcomeUnknown, Refusal, StorageFailed
from ..group_commit import GroupCommit, Job
from . import write_lock
from .checkpoints import Checkpoints
from .connection import BUSY_MS, SQLiteConnection, open_connection, sqlite3
from .location import Location
from .reserve import Reserve, is_full

T = TypeVar("T")

_log: Final = logging.getLogger("consentful.store")

_TRUNCATE_BUSY_MS: Final = 25
"""How long a truncation waits for readers of the WAL: most reads take less. Meanwhile nothing is committed."""
_TRUNCATE_AGAIN_S: Final = 0.1
"""After a truncation that failed, none waits for so long."""
_TRUNCATIONS: Final = 5
"""Truncations that an erasure tries before it is answered as not clean."""

FULL: Final = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
"""SQLite's names for a full disk: of the database or the WAL, and of the WAL's shared-memory index."""


class WriteJob(Job[tuple[T, bool]], Generic[T]):
    """Work for the writer's transaction. Its outcome: what the work returned, and whether the WAL is clean.

    `truncate` requests the truncation of the WAL afterwards. `erases` lets the job run on the disk reserve; jobs that
    complete an erasure set it too.
    """

    __slots__ = ("erases", "truncate")

    def __init__(self, *, erases: bool = False, truncate: bool = False) -> None:
        super().__init__()
        self.erases = erases
        self.truncate = truncate


class SingleJob(WriteJob[T]):
    """A job of its own. `work` raises a `Refusal` before its first write, or none at all."""

    __slots__ = ("work",)

    def __init__(self, work: Callable[[sqlite3.Connection], T], *, erases: bool, truncate: bool) -> None:
        super().__init__(erases=erases, truncate=truncate)
        self.work = work


class KeepJob(WriteJob[T]):
    """A job whose work is done together with that of its neighbours: `together` takes the items of all of them, and
    returns a value or a `Refusal` for each. `prepare` is called before the transaction; if it raises, that job alone
    fails, with the same error.
    """

    __slots__ = ("item", "prepare", "together")

    def __init__(self, together: "Together", item: Any, prepare: Callable[[], object]) -> None:
        super().__init__()
        self.together = together
        self.item = item
        self.prepare = prepare


BeforeCommit: TypeAlias = Callable[[sqlite3.Connection], None]
Together: TypeAlias = Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]]


class _Doubt(Exception):  # noqa: N818
    """A COMMIT failed: a restart may recover the transaction unless the WAL is truncated first."""


_Outcome: TypeAlias = tuple[Any, bool] | Exception
_Batch: TypeAlias = Sequence[WriteJob[Any]]


class Writer:
    """Commits jobs in the order of their arrival; each method returns once its job is durable."""

    def __init__(
        self,
        connection: SQLiteConnection,
        checkpoints: Checkpoints,
        clock: Clock,
        before_commit: BeforeCommit,
        reserve: Reserve,
        location: Location,
    ) -> None:
        self._connection = connection
        self._checkpoints = checkpoints
        self._location = location
        self._before_commit = before_commit
        self._reserve = reserve
        self._clock = clock
        self._in_doubt = False
        self._untruncated = False
        self._wait_from = clock.monotonic()
        self._has_failed = False
        self._was_displaced = False
        self.is_full = False
        """Whether a write failed because the disk is full, and there is no room yet."""
        self.last_success = clock.monotonic()
        self.commits = GroupCommit(self._run_on_thread)

    @classmethod
    async def open(
        cls, path: Path, clock: Clock, before_commit: BeforeCommit = lambda _: None, reserve: Reserve | None = None
    ) -> "Writer":
        """Return a writer. It calls `before_commit` before each COMMIT; if that raises, the batch is rolled back."""
        connection, checkpoints = await open_connection(path), await Checkpoints.open(path)
        await connection.run(_open_log)
        await connection.run(write_lock.wait_for_nothing)
        return cls(connection, checkpoints, clock, before_commit, reserve or Reserve({}), Location(path))

    @property
    def in_doubt(self) -> bool:
        """Whether a failed COMMIT may still be recovered by a restart."""
        return self._in_doubt

    @property
    def is_failing(self) -> bool:
        """Whether the last write failed, or the disk is full."""
        return self._has_failed or self.is_full

    async def write(self, work: Callable[[sqlite3.Connection], T], *, erases: bool = False) -> T:
        """Return the work's return value once it is durable. With `erases`, the job may use the disk reserve.

        Raises:
            StorageFailed: If it was rolled back for good.
            OutcomeUnknown: If a restart may still recover it.
        """
        outcome, _ = await self.commits.run(SingleJob(work, erases=erases, truncate=False))
        return outcome

    async def write_together(self, together: Together, item: Any, prepare: Callable[[], object]) -> Any:
        """Return what `together` returns for the item, once it is durable; see `KeepJob`.

        Raises:
            StorageFailed, OutcomeUnknown: As `write` does.
        """
        outcome, _ = await self.commits.run(KeepJob(together, item, prepare))
        return outcome

    async def erase(self, work: Callable[[sqlite3.Connection], T]) -> tuple[T, bool]:
        """Return the work's return value, and whether no earlier copy of an overwritten key is left in the WAL."""
        outcome, clean = await self.commits.run(SingleJob(work, erases=True, truncate=True))
        return outcome, clean or await self.truncate(_TRUNCATIONS - 1)

    async def truncate(self, tries: int = _TRUNCATIONS) -> bool:
        """Truncate the WAL; return whether no earlier copy of an overwritten key is left in it."""
        for attempt in range(tries):
            if attempt:
                await asyncio.sleep(_TRUNCATE_AGAIN_S)  # (R4) others commit, and readers end
            _, clean = await self.commits.run(SingleJob(lambda _: None, erases=True, truncate=True))
            if clean:
                return True
        return False

    async def close(self) -> None:
        """Commit the waiting jobs, then close the connections."""
        await self.commits.close()
        await self._checkpoints.close()
        await self._connection.close()

    async def _run_on_thread(self, batch: _Batch) -> list[_Outcome]:
        outcomes = await self._connection.run(lambda db: self._run_batch(db, batch))
        if not self._was_displaced:  # a checkpoint writes to the database
            self._checkpoints.after(len(batch))
        return outcomes

    def _run_batch(self, db: sqlite3.Connection, batch: _Batch) -> list[_Outcome]:
        """Run the batch on the connection's thread, and note how that went. Never raises."""
        failures = _prepare(batch)
        if failures:
            ready = [job for job in batch if job not in failures]
            outcomes = iter(self._run_batch(db, ready) if ready else ())
            return [failures[job] if job in failures else next(outcomes) for job in batch]
        outcomes = self._run_jobs(db, batch)
        if any(isinstance(outcome, StorageFailed | OutcomeUnknown) for outcome in outcomes):
            self._has_failed = True
        elif any(isinstance(outcome, tuple) and not job.erases for job, outcome in zip(batch, outcomes, strict=True)):
            # Erasures do not count: they may have used the reserve.
            self._has_failed = False
            self.is_full = self.is_full and not self._reserve.has_room()
        return outcomes

    def _run_jobs(self, db: sqlite3.Connection, batch: _Batch) -> list[_Outcome]:
        """Run the batch; without the reserve, only its erasures; on displaced files, nothing."""
        if self._is_displaced():
            return [StorageFailed() for _ in batch]
        outcomes = self._run_in_place(db, batch)
        if self._is_displaced():  # (R7) a refusal has written nothing
            return [outcome if isinstance(outcome, Refusal) else OutcomeUnknown() for outcome in outcomes]
        return outcomes

    def _is_displaced(self) -> bool:
        """Return whether the database or its WAL is no longer at its path, and log that once."""
        displaced = self._location.displaced()
        if displaced and not self._was_displaced:
            _log.error(
                "nothing is stored: a file of the database was moved or deleted while it was open; put it back, or"
                " restart the service with the database that it shall use",
                extra={"file": str(displaced)},
            )
        self._was_displaced = displaced is not None
        return self._was_displaced

    def _run_in_place(self, db: sqlite3.Connection, batch: _Batch) -> list[_Outcome]:
        if self._reserve.is_short and not self._reserve.allocate():  # another process may have released it
            return self._commit_erasures(db, batch)
        return self._commit(db, batch)

    def _commit_erasures(self, db: sqlite3.Connection, batch: _Batch) -> list[_Outcome]:
        """Run the jobs that erase; the others get StorageFailed."""
        erasing = [job for job in batch if job.erases]
        outcomes = dict(zip(erasing, self._commit(db, erasing) if erasing else [], strict=True))
        return [outcomes[job] if job in outcomes else StorageFailed() for job in batch]

    def _commit(self, db: sqlite3.Connection, batch: _Batch) -> list[_Outcome]:
        if self._in_doubt and not self._clear_doubt(db):  # (R3) a COMMIT now could make the failed one durable
            return [StorageFailed() for _ in batch]
        try:
            outcomes = _transact(db, batch, self._before_commit)
        except _Doubt as doubt:
            self._note(doubt.__cause__)
            cleared = self._clear_doubt(db)  # (R3)
            details = {"jobs": len(batch), "cleared": cleared, "error": _error_name(doubt.__cause__)}
            _log.error("commit failed", extra=details)
            if cleared and self._frees_space(doubt.__cause__, batch):
                return self._commit_erasures(db, batch)
            return [StorageFailed() if cleared else OutcomeUnknown() for _ in batch]
        except Exception as error:  # noqa: BLE001 - (R5) rolled back, whatever it was; a retry finds the faulty job
            self._note(error)
            _log.warning("transaction rolled back", extra={"jobs": len(batch), "error": _error_name(error)})
            if self._frees_space(error, batch):
                return self._commit_erasures(db, batch)  # (R6) may come here again; each time a reserve is released
            return self._one_by_one(db, batch)
        self.last_success = self._clock.monotonic()
        return self._truncated(db, batch, outcomes)

    def _one_by_one(self, db: sqlite3.Connection, batch: _Batch) -> list[_Outcome]:
        if len(batch) == 1:
            return [StorageFailed()]
        return [outcome for job in batch for outcome in self._commit(db, [job])]

    def _note(self, error: BaseException | None) -> None:
        """Note whether the disk is full."""
        if _is_full(error) and not self.is_full:
            self.is_full = True
            _log.error("the disk is full; no dialog is stored until there is space again")

    def _frees_space(self, error: BaseException | None, batch: _Batch) -> bool:
        """Release the reserve if the disk is full and the batch erases something; return whether space was freed."""
        return any(job.erases for job in batch) and self._releases_reserve(error)

    def _releases_reserve(self, error: BaseException | None) -> bool:
        if not _is_full(error) or not self._reserve.release():
            return False
        _log.error("erasures use the disk space reserved for them")
        return True

    def _clear_doubt(self, db: sqlite3.Connection) -> bool:
        self._in_doubt = not self._truncate(db, BUSY_MS)
        return not self._in_doubt

    def _truncate(self, db: sqlite3.Connection, busy_ms: int) -> bool:
        """Truncate the WAL, on the reserve if the disk is full; return whether it succeeded."""
        with self._checkpoints.turn:  # (R4)
            try:
                return _truncate(db, busy_ms)
            except sqlite3.Error as error:
                if not self._releases_reserve(error):  # the checkpoint itself may need space: it extends the database
                    return False
            with suppress(sqlite3.Error):
                return _truncate(db, busy_ms)
            return False

    def _truncated(self, db: sqlite3.Connection, batch: _Batch, outcomes: list[_Outcome]) -> list[_Outcome]:
        is_asked = any(job.truncate for job in batch)
        if self._untruncated or is_asked:
            waits = is_asked and self._clock.monotonic() >= self._wait_from
            self._untruncated = not self._truncate(db, _TRUNCATE_BUSY_MS if waits else 0)  # (R4)
            if self._untruncated and waits:
                self._wait_from = self._clock.monotonic() + _TRUNCATE_AGAIN_S
        clean = not self._untruncated
        return [outcome if isinstance(outcome, Exception) else (outcome[0], clean) for outcome in outcomes]


def _open_log(db: sqlite3.Connection) -> None:
    """Have SQLite open the WAL, which it creates for the first read."""
    db.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _transact(db: sqlite3.Connection, batch: _Batch, before_commit: BeforeCommit) -> list[_Outcome]:
    outcomes: list[_Outcome] = []
    write_lock.begin(db)  # (R1)
    try:
        for _, jobs in groupby(batch, key=_kind):
            outcomes += _run(db, list(jobs))
        before_commit(db)  # (R2) after every job, because each adds its entry; before COMMIT, or a crash forgets it
    except BaseException:
        _roll_back(db)
        raise
    try:
        db.execute("COMMIT")
    except sqlite3.Error as error:
        with suppress(sqlite3.Error):  # the doubt stays, whether or not this succeeds
            _roll_back(db)
        raise _Doubt from error
    return outcomes


def _kind(job: WriteJob[Any]) -> object:
    """Return what jobs have in common that are run together."""
    return job.together if isinstance(job, KeepJob) else job


def _run(db: sqlite3.Connection, jobs: Sequence[WriteJob[Any]]) -> list[_Outcome]:
    """Run one job, or several that are run together."""
    first = jobs[0]
    try:
        if isinstance(first, KeepJob):
            values = first.together(db, [job.item for job in jobs if isinstance(job, KeepJob)])
            return [value if isinstance(value, Refusal) else (value, True) for value in values]
        assert isinstance(first, SingleJob)
        return [(first.work(db), True)]
    except Refusal as refusal:
        return [refusal]


def _prepare(batch: _Batch) -> dict[WriteJob[Any], Exception]:
    """Prepare the jobs, and return the errors of those that failed."""
    failures: dict[WriteJob[Any], Exception] = {}
    for job in batch:
        if isinstance(job, KeepJob):
            try:
                job.prepare()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told to whoever waits for this job
                failures[job] = error
    return failures


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:  # SQLite itself rolls back after some errors, SQLITE_FULL and SQLITE_IOERR among them
        db.execute("ROLLBACK")


def _truncate(db: sqlite3.Connection, busy_ms: int) -> bool:
    """Copy the whole WAL into the database and truncate it to zero bytes; return False if a reader uses it.

    SQLite reports "busy" in the row that it returns, not as an error.
    """
    db.execute(f"PRAGMA busy_timeout = {busy_ms}")
    try:
        busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        write_lock.wait_for_nothing(db)
    return busy == 0


def _is_full(error: BaseException | None) -> bool:
    return _error_name(error) in FULL or is_full(error)  # the second for the ledger, which is no database


def _error_name(error: BaseException | None) -> str:
    """Return SQLite's name of the error, or its class: its text could quote a value, so it is not logged."""
    return getattr(error, "sqlite_errorname", None) or type(error).__name__
