"""Group commit: all jobs that wait are committed in one transaction, so that one fsync serves many dialogs.

    waiting ──_run takes a batch──► committing ──commit returns──► settled
    (in `_waiting`)                 (in `batch`)                   (the future has its outcome)

`_waiting`, `_closing` and `_wake` belong to the event loop's thread. A batch belongs to `commit`, which may use another
thread, until `commit` returns. While one batch commits, the next one gathers.

When a commit begins decides what it costs: its jobs share much of it, and it takes twice as long beside a loop at work,
which has the same GIL. So a batch gathers while the loop has other work, which may bring more jobs, and is committed
once the loop is idle: most of the clients wait for just this then. There is no timer: a job that comes alone waits for
two empty turns of the loop, a few microseconds.

Races, and the line that closes each:

(R1) A job arrives while a batch commits: `_run` cleared the event before the commit, so `run` sets it again.
(R2) The task that waits for a job is cancelled, and its future with it: the job stays in its batch, and the commit
     goes on, because a retry may ask for the outcome. `_settle` leaves such a future alone.
(R3) The store closes while jobs wait: `_run` ends only once `_waiting` is empty, and `run` refuses later jobs.
(R4) `commit` raises, against its contract: the batch's outcome is unknown, and later batches still run. Without this
     line the task would end, and every later job would wait forever.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

from ..errors import OutcomeUnknown, StorageFailed
from ..telemetry import traces
from ..telemetry.logs import where

T = TypeVar("T")
J = TypeVar("J", bound="Job[Any]")

_log: Final = logging.getLogger("consentful.store")

_MOST_AT_ONCE: Final = 500
"""Jobs in one transaction at most: the first of them waits until the last has run."""


_COMPANY: Final = 64
_GATHER_S: Final = 0.025
"""A job waits for so much company at most, and for so long, and only while the loop has other work."""
_EMPTY_TURN_S: Final = 20e-6
"""A turn of the loop that takes less processor time had nothing to do: an empty one takes 1.4 µs (uvloop) or 3."""
_EMPTY_TURNS: Final = 2
"""So many in a row mean that the loop is idle: a client takes a moment to answer what the turn before has sent."""


class Job(Generic[T]):
    """A part of a transaction, with the future of its outcome. Create it on the event loop's thread."""

    __slots__ = ("future", "span")

    def __init__(self) -> None:
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.span = traces.CURRENT.get()
        """Of what the job is a part, and its commit as well."""


Outcome: TypeAlias = Any
"""The result of a job's future; an exception is raised from the future."""

Commit: TypeAlias = Callable[[Sequence[J]], Awaitable[Sequence[Outcome]]]
"""Commits jobs in one transaction and returns an outcome for each, in order. It does not raise; a job fails alone."""


Meter: TypeAlias = Callable[[int, float], object]
"""Is told of each commit: how many jobs it had, and how many seconds it took."""


class GroupCommit(Generic[J]):
    """Passes jobs to `commit` in the order of their arrival."""

    def __init__(self, commit: Commit[J]) -> None:
        self.meter: Meter | None = None
        self._commit = commit
        self._waiting: list[J] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="consentful-group-commit")

    @property
    def waiting(self) -> int:
        """Number of jobs that wait for the next commit."""
        return len(self._waiting)

    async def run(self, job: J) -> Outcome:
        """Return the job's outcome once its transaction has ended.

        Raises:
            StorageFailed: If `close` was called before.
            OutcomeUnknown: If `commit` broke its contract.
        """
        if self._closing:
            raise StorageFailed
        self._waiting.append(job)
        self._wake.set()
        return await job.future  # (R2)

    async def close(self) -> None:
        """Commit all waiting jobs; later jobs are refused."""
        self._closing = True
        self._wake.set()
        await self._task

    async def _run(self) -> None:
        while self._waiting or not self._closing:  # (R3)
            await self._wake.wait()
            await self._gather()
            batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
            if not self._waiting and not self._closing:  # (R1) before the commit, never after it
                self._wake.clear()
            if batch:
                _settle(batch, await self._outcomes_of(batch))

    async def _gather(self) -> None:
        """Return once the loop is idle, at once if there is company enough."""
        until, empty = self._loop.time() + _GATHER_S, 0
        while empty < _EMPTY_TURNS and 0 < len(self._waiting) < _COMPANY and self._loop.time() < until:
            began = time.thread_time()  # not the time that passes: a thread of a reader may have had the GIL
            await asyncio.sleep(0)
            empty = empty + 1 if time.thread_time() - began < _EMPTY_TURN_S else 0

    async def _outcomes_of(self, batch: Sequence[J]) -> Sequence[Outcome]:
        began = time.perf_counter()
        try:
            return await self._commit(batch)
        except Exception as error:  # noqa: BLE001 - (R4) whatever it was, nobody knows how much was committed
            _log.error(
                "group commit failed; the outcome of its jobs is unknown", extra={"jobs": len(batch)} | where(error)
            )
            return [OutcomeUnknown() for _ in batch]
        finally:
            self._tell(batch, time.perf_counter() - began)

    def _tell(self, batch: Sequence[J], seconds: float) -> None:
        """Tell operators how long the commit took, and for how many jobs."""
        if self.meter is not None:
            self.meter(len(batch), seconds)
        if traces.is_on():
            for job in batch:
                traces.record("store.commit", job.span, seconds, {"consentful.jobs": len(batch)})


def _settle(batch: Sequence[Job[Any]], outcomes: Sequence[Outcome]) -> None:
    for job, outcome in zip(batch, outcomes, strict=True):
        if job.future.done():
            continue
        if isinstance(outcome, Exception):
            job.future.set_exception(outcome)
            job.future.exception()  # marks it as retrieved: after a cancellation nobody else reads it
        else:
            job.future.set_result(outcome)
