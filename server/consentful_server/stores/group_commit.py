"""Group commit: whatever waits is committed in one transaction, so that one fsync serves many.

A job waits (in `_waiting`), is under way (in the batch that `_run` holds), and is settled (its future has the outcome).
`_waiting` is touched on the event loop only; the batch belongs to `commit`, which may run on another thread, until it
returns. There is no timer: while a batch commits, the next one gathers, so a lone job waits for nobody.

Races, and the line that closes each:

(R1) A job arrives while a batch commits: it stays in `_waiting`, and the loop in `_run` does not sleep before it.
(R2) Whoever waits for a job is cancelled: the commit goes on (`shield`), because its outcome may be asked for again.
(R3) The store closes while jobs wait: `_run` ends only once nothing waits, and a later job is refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

from ..errors import StorageFailed

T = TypeVar("T")
J = TypeVar("J", bound="Job[Any]")

_MOST_AT_ONCE: Final = 500


class Job(Generic[T]):
    """A piece of a transaction, and the future of its outcome."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()


Outcome: TypeAlias = Any
"""What a job's future is to give; an exception is raised by it."""

Commit: TypeAlias = Callable[[Sequence[J]], Awaitable[Sequence[Outcome]]]
"""Commits jobs in one transaction and returns their outcomes, in order. It never raises; one job fails alone."""


class GroupCommit(Generic[J]):
    """Hands jobs to `commit` in the order in which they came."""

    def __init__(self, commit: Commit[J]) -> None:
        self._commit = commit
        self._waiting: list[J] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._run(), name="consentful-group-commit")

    async def run(self, job: J) -> Outcome:
        """Return the job's outcome, once it is committed.

        Raises:
            StorageFailed: If this is closed.
        """
        if self._closing:
            raise StorageFailed
        self._waiting.append(job)
        self._wake.set()
        return await asyncio.shield(job.future)  # R2

    async def close(self) -> None:
        """Commit what waits; take nothing more."""
        self._closing = True
        self._wake.set()
        await self._task

    async def _run(self) -> None:
        while self._waiting or not self._closing:  # R3
            await self._wake.wait()
            batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
            if not self._waiting and not self._closing:  # R1: what came meanwhile keeps it awake
                self._wake.clear()
            if batch:
                _settle(batch, await self._commit(batch))


def _settle(batch: Sequence[Job[Any]], outcomes: Sequence[Outcome]) -> None:
    for job, outcome in zip(batch, outcomes, strict=True):
        if job.future.done():
            continue
        if isinstance(outcome, Exception):
            job.future.set_exception(outcome)
            job.future.exception()  # whoever waited may be gone; that is no unhandled error
        else:
            job.future.set_result(outcome)
