"""The only writer of a PostgreSQL database in this process: group commit, one transaction for a batch of jobs.

    idle ──batch──► BEGIN, lock, mark ──► the jobs' work ──► the ledger's fsync ──► COMMIT ──► idle
                        │                    │                                       │ no answer
                        │ refused            │ error: ROLLBACK, each job alone       ▼
                        ▼                    ▼                                  in doubt: look the mark up
                    StorageFailed        StorageFailed for the faulty one       as often as `_LOOK_AFTER_S` says

All processes on a database write one after another: each transaction begins with the same advisory lock, and ends it.
What a job reads therefore stays true until its COMMIT, and whoever holds the lock sees all that was committed before,
because PostgreSQL shows a transaction's rows before it releases its locks. Group commit makes up for the queue: the
longer the wait for the lock, the more jobs are in the next batch.

The mark is a row of this process in `writers`, with the number of the batch, written in the batch's own transaction.
After a COMMIT without an answer it tells what happened, on whichever server the address leads to by then.

Threads: everything runs on the event loop, one batch at a time. What prepares a job, and the fsync of the ledger, run
in a worker thread, while the loop does other work.

Races, and the line that closes each:

(R1) Another process writes at the same time: its transaction has the lock until it ends. READ COMMITTED gives each
     statement after the lock a new snapshot, so it sees what that process committed.
(R2) The process crashes between the ledger's fsync and COMMIT: the next start reads the ledger and erases again.
(R3) The connection is lost during COMMIT, and the server may still be at work on it: the look-up takes the lock first,
     which that transaction holds until it has ended. After the lock there is no doubt any more.
(R4) An operator cancels a COMMIT that waits for a standby: PostgreSQL answers that it succeeded, after a warning. With
     one, `_confirm` takes the outcome for unknown.
(R5) What the look-up finds may be on this server alone: PostgreSQL shows a transaction that no synchronous standby has,
     once its wait for one was cancelled, by a client that gave up or by a crash, and a failover would lose it
     (patroni/patroni#1412). So the look-up writes as well: its own COMMIT waits for the standby, which has all that
     was committed before. If that gets no answer, or is cancelled too (R4), the look-up has found out nothing.
(R6) The doubt outlasts the look-ups: its jobs get OutcomeUnknown, and the store is not ready. The next batch that gets
     the lock ends the doubt in the same way.
(R7) An unexpected error may have written half of a job: the ROLLBACK covers the whole batch, and the retries start
     anew.
(R8) The connection was lost while nothing was written: the first batch afterwards fails before its COMMIT, and is run
     again on a new connection.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any, Final, Generic, TypeAlias, TypeVar

import asyncpg

from ...clock import Clock, to_micros
from ...errors import OutcomeUnknown, Refusal, StorageFailed
from ..group_commit import GroupCommit, Job
from .address import Address
from .connection import FAILED, LOST, Connection, connect
from .failures import told

T = TypeVar("T")

_log: Final = logging.getLogger("consentful.store")

LOCK: Final = "SELECT pg_advisory_xact_lock(7168457412)"
"""Waits until no other process writes in this database. The number is any that other programs do not use."""

_LOOK_AFTER_S: Final = (0.0, 0.5, 2.0, 5.0)
"""Waits before each look-up of a COMMIT without an answer: about as long as a standby takes to be promoted."""
_CLOSE_S: Final = 2.0
_IDLE_MS: Final = "10000"
"""As long as the others wait for the lock; here nothing happens between two statements but the ledger's fsync."""
_FORGET_AFTER_US: Final = 7 * 86_400_000_000
"""Age of the last mark after which a process is taken for ended: far more than the look-ups take."""

Work: TypeAlias = Callable[[Connection, Sequence[Any]], Awaitable[Sequence[Any]]]
"""Writes what several jobs ask for, and returns an outcome for each; a `Refusal` among them has written nothing."""

BeforeCommit: TypeAlias = Callable[[Connection], Awaitable[None]]


class WriteJob(Job[T], Generic[T]):
    """A part of the writer's transaction: `work` is given the items of all jobs beside it that have the same work.

    `prepare` is called before the transaction, in a worker thread; if it raises, that job alone fails.
    """

    __slots__ = ("item", "prepare", "work")

    def __init__(self, work: Work, item: object, prepare: Callable[[], object] | None = None) -> None:
        super().__init__()
        self.work = work
        self.item = item
        self.prepare = prepare


_Outcome: TypeAlias = Any
_Batch: TypeAlias = Sequence[WriteJob[Any]]


class _Doubt(Exception):  # noqa: N818
    """A COMMIT got no answer. `outcomes` are those of the jobs if it succeeded."""

    def __init__(self, outcomes: Sequence[_Outcome]) -> None:
        super().__init__()
        self.outcomes = outcomes


class _Alone(Exception):  # noqa: N818
    """The primary has committed, and does not say that a standby has."""


class Writer:
    """Commits jobs in the order of their arrival; each method returns once its job is durable."""

    def __init__(self, address: Address, connection: Connection, clock: Clock, before_commit: BeforeCommit) -> None:
        self._address = address
        self._connection = connection
        self._clock = clock
        self._before_commit = before_commit
        self._name = secrets.token_hex(8)
        self._batch = 0
        self._has_warned = False
        self.in_doubt = False
        """Whether nobody knows if a COMMIT succeeded."""
        self.is_failing = False
        """Whether the last batch failed in part."""
        self.last_success = clock.monotonic()
        self.commits = GroupCommit(self._run_batch)

    @classmethod
    async def open(cls, address: Address, clock: Clock, before_commit: BeforeCommit) -> "Writer":
        """Return a writer. It calls `before_commit` before each COMMIT; if that raises, the batch is rolled back."""
        db = await _connect(address)
        await db.execute("DELETE FROM writers WHERE at < $1", to_micros(clock.now()) - _FORGET_AFTER_US)
        writer = cls(address, db, clock, before_commit)
        db.add_log_listener(writer._on_message)
        return writer

    async def write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Return the work's return value once it is durable. It raises a `Refusal` before its first write, or none.

        Raises:
            StorageFailed: If it was rolled back for good.
            OutcomeUnknown: If it may have been committed.
        """
        return await self.commits.run(WriteJob(_alone, work))

    async def write_together(self, work: Work, item: object, prepare: Callable[[], object] | None = None) -> Any:
        """Return the item's outcome once it is durable. The items of jobs that wait are written by one call."""
        return await self.commits.run(WriteJob(work, item, prepare))

    async def close(self) -> None:
        """Commit the waiting jobs, then close the connection."""
        await self.commits.close()
        with suppress(*FAILED):
            await self._connection.execute("DELETE FROM writers WHERE name = $1", self._name)
        with suppress(*FAILED):  # also where that was refused
            await asyncio.wait_for(self._connection.close(), _CLOSE_S)

    async def _run_batch(self, batch: _Batch) -> Sequence[_Outcome]:
        has_work = any(job.prepare is not None for job in batch)
        failures = await asyncio.to_thread(_prepare, batch) if has_work else {}
        ready = [job for job in batch if job not in failures]
        outcomes: Sequence[_Outcome] = await self._commit(ready, is_again=False) if ready else ()
        self.is_failing = any(isinstance(outcome, StorageFailed | OutcomeUnknown) for outcome in outcomes)
        committed = iter(outcomes)
        return [failures[job] if job in failures else next(committed) for job in batch]

    async def _commit(self, batch: _Batch, *, is_again: bool) -> Sequence[_Outcome]:
        try:
            db = await self._begin()
        except FAILED as error:  # no job is to blame, so none is tried alone
            if isinstance(error, LOST) and not is_again:  # (R8)
                return await self._commit(batch, is_again=True)
            _log.error("no transaction could begin", extra={"jobs": len(batch)} | told(error))
            return [StorageFailed() for _ in batch]
        try:
            outcomes = await self._transact(db, batch)
        except _Doubt as doubt:
            _log.error("commit without an answer", extra={"jobs": len(batch)} | told(doubt.__cause__))
            return await self._resolve(batch, doubt.outcomes)
        except Exception as error:  # noqa: BLE001 - (R7) rolled back, whatever it was; a retry finds the faulty job
            _log.warning("transaction rolled back", extra={"jobs": len(batch)} | told(error))
            await self._roll_back(db)
            if isinstance(error, LOST) and not is_again:  # (R8)
                return await self._commit(batch, is_again=True)
            return await self._one_by_one(batch)
        self.last_success = self._clock.monotonic()
        return outcomes

    async def _one_by_one(self, batch: _Batch) -> Sequence[_Outcome]:
        if len(batch) == 1:
            return [StorageFailed()]
        return [outcome for job in batch for outcome in await self._commit([job], is_again=True)]

    async def _begin(self) -> Connection:
        """Begin a transaction that nobody else writes in, with this batch's mark; return its connection."""
        if self._connection.is_closed():
            self._connection = await self._connect()
        db = self._connection
        self._batch += 1
        mark = f"('{self._name}', {self._batch}, {to_micros(self._clock.now())})"
        try:
            # One round trip. The numbers and the name are this module's own.
            await db.execute(
                f"BEGIN; {LOCK}; INSERT INTO writers VALUES {mark}"  # (R1)
                " ON CONFLICT (name) DO UPDATE SET batch = excluded.batch, at = excluded.at"
            )
        except BaseException as error:
            if isinstance(error, LOST):
                db.terminate()  # also a connection that is open, to a server that is the primary no more
            else:
                await self._roll_back(db)
            raise
        self.in_doubt = False  # (R6) whatever it was has ended, and committed or not, all that follows sees it
        return db

    async def _transact(self, db: Connection, batch: _Batch) -> Sequence[_Outcome]:
        outcomes: list[_Outcome] = []
        for work, jobs in groupby(batch, key=lambda job: job.work):
            outcomes += await work(db, [job.item for job in jobs])
        await self._before_commit(db)  # (R2) after every job, because each adds its entry
        try:
            status = await self._confirm(db)
        except Exception as error:
            db.terminate()
            raise _Doubt(outcomes) from error
        if status != "COMMIT":  # PostgreSQL answers ROLLBACK, without an error, if a statement had failed
            raise asyncpg.InternalClientError(status)
        return outcomes

    async def _confirm(self, db: Connection) -> str:
        """Commit, and return PostgreSQL's answer once all have it who must.

        Raises:
            _Alone: If this server has committed, and a standby that must have it may not.
        """
        self._has_warned = False
        status = await db.execute("COMMIT")
        if self._has_warned:
            raise _Alone  # (R4)
        return status

    async def _connect(self) -> Connection:
        db = await _connect(self._address)
        db.add_log_listener(self._on_message)
        return db

    def _on_message(self, _connection: object, message: Any) -> None:
        """Note a warning, an `asyncpg.PostgresLogMessage`. It comes before the statement that it is about returns."""
        self._has_warned = self._has_warned or message.severity_en == "WARNING"

    async def _resolve(self, batch: _Batch, outcomes: Sequence[_Outcome]) -> Sequence[_Outcome]:
        """Return the outcomes if the batch was committed, and failures if it was not."""
        number = self._batch
        for wait in _LOOK_AFTER_S:
            await asyncio.sleep(wait)
            try:
                was_committed = await self._has_committed(number)
            except (*FAILED, _Alone) as error:
                _log.warning("the outcome could not be looked up", extra=told(error))
            else:
                return outcomes if was_committed else [StorageFailed() for _ in batch]
        self.in_doubt = True
        return [OutcomeUnknown() for _ in batch]

    async def _has_committed(self, batch: int) -> bool:
        db = await self._connect()
        try:
            await db.execute(f"BEGIN; {LOCK}")  # (R3)
            look = "UPDATE writers SET at = $2 WHERE name = $1 RETURNING batch"  # (R5)
            last = await db.fetchval(look, self._name, to_micros(self._clock.now()))
            await self._confirm(db)
        except BaseException:
            db.terminate()
            raise
        self._connection = db
        return last == batch

    async def _roll_back(self, db: Connection) -> None:
        try:
            await db.execute("ROLLBACK")
        except FAILED:  # the server rolls it back, when it finds that nobody listens
            db.terminate()


async def _connect(address: Address) -> Connection:
    """Return a connection for writing. One that waits in a transaction for a suspended process does not wait long."""
    return await connect(address, idle_in_transaction_session_timeout=_IDLE_MS)


def _prepare(batch: _Batch) -> dict[WriteJob[Any], Exception]:
    """Prepare the jobs, and return the errors of those that failed."""
    failures: dict[WriteJob[Any], Exception] = {}
    for job in batch:
        if job.prepare is not None:
            try:
                job.prepare()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told to whoever waits for this job
                failures[job] = error
    return failures


async def _alone(db: Connection, items: Sequence[Any]) -> Sequence[_Outcome]:
    """Do the work of single jobs, one after another; one that is refused has written nothing."""
    outcomes: list[_Outcome] = []
    for work in items:
        try:
            outcomes.append(await work(db))
        except Refusal as refusal:
            outcomes.append(refusal)
    return outcomes
