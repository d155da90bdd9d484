"""Group commit alone: jobs gather while a batch commits, and a commit that raises does not stop the next one."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence

import pytest

from consentful_server.errors import OutcomeUnknown
from consentful_server.stores.group_commit import GroupCommit, Job


class Committing:
    """A `Commit` that is held back by the test, and raises when it is told to."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.began = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.error: Exception | None = None

    async def __call__(self, batch: Sequence[Job[int]]) -> list[int]:
        self.batches.append(len(batch))
        self.began.set()
        await self.may_go_on.wait()
        if self.error is not None:
            raise self.error
        return list(range(len(batch)))


@pytest.fixture
async def committing() -> Committing:
    return Committing()


@pytest.fixture
async def commits(committing: Committing) -> AsyncGenerator[GroupCommit[Job[int]]]:
    group: GroupCommit[Job[int]] = GroupCommit(committing)
    yield group
    await group.close()


async def test_jobs_that_arrive_while_a_batch_commits_are_one_batch(
    commits: GroupCommit[Job[int]], committing: Committing
) -> None:
    committing.may_go_on.clear()
    first = asyncio.create_task(commits.run(Job()))
    await committing.began.wait()
    others = [asyncio.create_task(commits.run(Job())) for _ in range(3)]
    await asyncio.sleep(0)
    committing.may_go_on.set()

    assert await first == 0
    assert await asyncio.gather(*others) == [0, 1, 2]
    assert committing.batches == [1, 3]


async def test_a_batch_waits_while_the_loop_has_other_work(
    commits: GroupCommit[Job[int]], committing: Committing
) -> None:
    jobs = [asyncio.create_task(commits.run(Job()))]
    while len(jobs) < 3:
        for _ in range(3):
            _work()
            await asyncio.sleep(0)
        jobs.append(asyncio.create_task(commits.run(Job())))
    await asyncio.gather(*jobs)

    assert committing.batches == [3]


async def test_a_batch_waits_no_longer_than_some_milliseconds(
    commits: GroupCommit[Job[int]], committing: Committing
) -> None:
    job, turns = asyncio.create_task(commits.run(Job())), 0
    while not committing.batches:
        _work()
        await asyncio.sleep(0)
        turns += 1
        assert turns < 100_000
    await job

    assert turns > 10


async def test_a_job_that_comes_alone_waits_for_two_turns_of_the_loop(
    commits: GroupCommit[Job[int]], committing: Committing
) -> None:
    await asyncio.sleep(0)  # the task waits for its first job
    job, turns = asyncio.create_task(commits.run(Job())), 0
    while not committing.batches:
        await asyncio.sleep(0)
        turns += 1
    await job

    assert turns <= 5  # the job's own, that which wakes the task, and two of silence


async def test_a_batch_with_company_enough_does_not_wait_for_more(
    commits: GroupCommit[Job[int]], committing: Committing
) -> None:
    jobs = [asyncio.create_task(commits.run(Job())) for _ in range(70)]
    for _ in range(20):
        jobs.append(asyncio.create_task(commits.run(Job())))
        await asyncio.sleep(0)
    await asyncio.gather(*jobs)

    assert 64 <= committing.batches[0] <= 72


def _work() -> None:
    """Take as much processor time as a few frames do."""
    until = time.thread_time() + 0.0001
    while time.thread_time() < until:
        pass


async def test_a_commit_that_raises_leaves_its_batch_unknown_and_the_next_one_runs(
    commits: GroupCommit[Job[int]], committing: Committing
) -> None:
    committing.error = OSError("read-only file system")
    with pytest.raises(OutcomeUnknown):
        await commits.run(Job())
    committing.error = None

    assert await commits.run(Job()) == 0
