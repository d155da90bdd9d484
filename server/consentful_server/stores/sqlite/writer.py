"""The one writer of an SQLite database: everything that waits is committed in one transaction (group commit).

A job that refuses has written nothing, so its neighbours go on. What breaks unexpectedly rolls the batch back, and
each job is tried again alone. A COMMIT that fails leaves a doubt: the row seems absent on every connection and can
come back after a restart (measured with a failing fsync). Truncating the write-ahead log removes it, so nothing is
answered before that has succeeded; where it cannot, the outcome is unknown and the writer is not ready.

On a full disk what erases is given the reserve (see `reserve`), and everything else is refused until that is back.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Generic, TypeAlias, TypeVar

from ...clock import Clock
from ...errors import OutcomeUnknown, Refusal, StorageFailed
from ..group_commit import GroupCommit, Job
from .connection import BUSY_MS, SQLiteConnection, open_connection, sqlite3
from .reserve import Reserve, is_full

T = TypeVar("T")

_log: Final = logging.getLogger("consentful.store")

_TRUNCATE_BUSY_MS: Final = 250
"""How long an erasure waits for readers before it answers that copies may be left in the log."""

_FULL: Final = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")


class WriteJob(Job[tuple[T, bool]], Generic[T]):
    """Work for the writer's transaction. Its outcome is what the work returned, and whether the log is clean since.

    `work` raises a `Refusal` before it writes anything, or writes. `truncate` asks for the log to be truncated after.
    What `erases`, or belongs to that, may use the reserve.
    """

    __slots__ = ("erases", "truncate", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], T], *, erases: bool, truncate: bool) -> None:
        super().__init__()
        self.work = work
        self.erases = erases
        self.truncate = truncate


class _Doubt(Exception):  # noqa: N818
    """A COMMIT failed: the transaction may come back unless the log is truncated."""


_Outcome: TypeAlias = tuple[Any, bool] | Exception
_Batch: TypeAlias = Sequence[WriteJob[Any]]


class Writer:
    """Commits jobs in the order they come; `write` returns once the job is durable."""

    def __init__(
        self, connection: SQLiteConnection, clock: Clock, before_commit: Callable[[], None], reserve: Reserve
    ) -> None:
        self._connection = connection
        self._before_commit = before_commit
        self._reserve = reserve
        self._clock = clock
        self._in_doubt = False
        self._untruncated = False
        self.last_success = clock.monotonic()
        self._commits = GroupCommit(self._run_on_thread)

    @classmethod
    async def open(
        cls, path: Path, clock: Clock, before_commit: Callable[[], None] = lambda: None, reserve: Reserve | None = None
    ) -> "Writer":
        """Return a writer; what `before_commit` does is done, or the transaction is not committed."""
        return cls(await open_connection(path), clock, before_commit, reserve or Reserve({}))

    @property
    def connection(self) -> SQLiteConnection:
        return self._connection

    @property
    def in_doubt(self) -> bool:
        """Whether a failed commit has not been cleared away yet."""
        return self._in_doubt

    async def write(self, work: Callable[[sqlite3.Connection], T], *, erases: bool = False) -> T:
        """Return what the work returned, durably. What belongs to an erasure may use the reserve.

        Raises:
            StorageFailed: If it was rolled back and cannot come back.
            OutcomeUnknown: If nobody can tell.
        """
        outcome, _ = await self._commits.run(WriteJob(work, erases=erases, truncate=False))
        return outcome

    async def erase(self, work: Callable[[sqlite3.Connection], T]) -> tuple[T, bool]:
        """Return what the work returned, and whether no earlier copy of what it overwrote is left in the log."""
        return await self._commits.run(WriteJob(work, erases=True, truncate=True))

    async def truncate(self) -> bool:
        """Return whether the log holds no earlier copy of anything that was overwritten."""
        _, clean = await self._commits.run(WriteJob(lambda _: None, erases=True, truncate=True))
        return clean

    async def close(self) -> None:
        """Commit what waits, and close the connection."""
        await self._commits.close()
        await self._connection.close()

    async def _run_on_thread(self, batch: _Batch) -> list[_Outcome]:
        return await self._connection.run(lambda db: self._run_batch(db, batch))

    def _run_batch(self, db: sqlite3.Connection, batch: _Batch) -> list[_Outcome]:
        """Run what there is room for, on the connection's thread; never raises."""
        if self._reserve.is_short and not self._reserve.take():
            return self._erase_alone(db, batch)
        return self._commit(db, batch)

    def _erase_alone(self, db: sqlite3.Connection, batch: _Batch) -> list[_Outcome]:
        """Run what erases, and refuse everything else."""
        erasing = [job for job in batch if job.erases]
        outcomes = dict(zip(erasing, self._commit(db, erasing) if erasing else [], strict=True))
        return [outcomes[job] if job in outcomes else StorageFailed() for job in batch]

    def _commit(self, db: sqlite3.Connection, batch: _Batch) -> list[_Outcome]:
        if self._in_doubt and not self._clear_doubt(db):
            return [StorageFailed() for _ in batch]
        try:
            outcomes = _transact(db, batch, self._before_commit)
        except _Doubt as doubt:
            cleared = self._clear_doubt(db)
            _log.error("commit failed", extra={"jobs": len(batch), "cleared": cleared, "error": _name(doubt.__cause__)})
            if cleared and self._gives_way(doubt.__cause__, batch):
                return self._erase_alone(db, batch)
            return [StorageFailed() if cleared else OutcomeUnknown() for _ in batch]
        except Exception as error:  # noqa: BLE001 - whatever it was, it was rolled back; the culprit is found alone
            _log.warning("transaction rolled back", extra={"jobs": len(batch), "error": _name(error)})
            if self._gives_way(error, batch):
                return self._erase_alone(db, batch)
            return self._one_by_one(db, batch)
        self.last_success = self._clock.monotonic()
        return self._truncated(db, batch, outcomes)

    def _one_by_one(self, db: sqlite3.Connection, batch: _Batch) -> list[_Outcome]:
        if len(batch) == 1:
            return [StorageFailed()]
        return [outcome for job in batch for outcome in self._commit(db, [job])]

    def _gives_way(self, error: BaseException | None, batch: _Batch) -> bool:
        """Whether the disk is full, something is to be erased, and there was a reserve for it."""
        return any(job.erases for job in batch) and self._gives(error)

    def _gives(self, error: BaseException | None) -> bool:
        if not _is_full(error) or not self._reserve.give():
            return False
        _log.error("the disk is full: what erases goes on, nothing more is stored until there is room")
        return True

    def _clear_doubt(self, db: sqlite3.Connection) -> bool:
        self._in_doubt = not self._truncate(db, BUSY_MS)
        return not self._in_doubt

    def _truncate(self, db: sqlite3.Connection, busy_ms: int) -> bool:
        """Move the log into the database and cut it to nothing, with the reserve if need be; whether it succeeded."""
        try:
            return _truncate(db, busy_ms)
        except sqlite3.Error as error:
            if not self._gives(error):
                return False
        with suppress(sqlite3.Error):
            return _truncate(db, busy_ms)
        return False

    def _truncated(self, db: sqlite3.Connection, batch: _Batch, outcomes: list[_Outcome]) -> list[_Outcome]:
        if self._untruncated or any(job.truncate for job in batch):
            self._untruncated = not self._truncate(db, _TRUNCATE_BUSY_MS)
        clean = not self._untruncated
        return [outcome if isinstance(outcome, Exception) else (outcome[0], clean) for outcome in outcomes]


def _transact(db: sqlite3.Connection, batch: _Batch, before_commit: Callable[[], None]) -> list[_Outcome]:
    outcomes: list[_Outcome] = []
    db.execute("BEGIN IMMEDIATE")
    try:
        for job in batch:
            try:
                outcomes.append((job.work(db), True))
            except Refusal as refusal:
                outcomes.append(refusal)
        before_commit()
    except BaseException:
        _roll_back(db)
        raise
    try:
        db.execute("COMMIT")
    except sqlite3.Error as error:
        with suppress(sqlite3.Error):  # the doubt is the same, whether or not this worked
            _roll_back(db)
        raise _Doubt from error
    return outcomes


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:  # some errors have rolled back already
        db.execute("ROLLBACK")


def _truncate(db: sqlite3.Connection, busy_ms: int) -> bool:
    """Move the whole log into the database and cut it to nothing; False if a reader is in it.

    SQLite says that it is busy in the row that it returns, without an error.
    """
    db.execute(f"PRAGMA busy_timeout = {busy_ms}")
    try:
        busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return busy == 0


def _is_full(error: BaseException | None) -> bool:
    return _name(error) in _FULL or is_full(error)


def _name(error: BaseException | None) -> str:
    """Return what may be logged of an error: SQLite's own name for it, or its class."""
    return getattr(error, "sqlite_errorname", None) or type(error).__name__
