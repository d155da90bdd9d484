"""Debian's Prometheus scrapes real servers, and each alert is made to fire by what it is for, and to resolve."""

import os
import signal
from collections.abc import Generator
from datetime import UTC, datetime, timedelta

import pytest

from consentful_server import testing
from consentful_server.testing import FakeClock

from ..server.commands.serving import serving
from ..server.commands.test_workers import pids
from .scraping import Prometheus, scraping

SCENES = {"gone": 2, "workers": 1, "chores": 1, "privacy": 1}
DAY = 86400


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Generator[Prometheus]:
    with scraping(tmp_path_factory.mktemp("prometheus"), SCENES) as running:
        yield running


class Watch(FakeClock):
    """The time as it is, moved by what a test says."""

    def __init__(self, late: float = 0) -> None:
        super().__init__(datetime.now(UTC) - timedelta(seconds=late))

    def jump(self, seconds: float) -> None:
        """Set the clock without time passing, as an operator does."""
        self._now += timedelta(seconds=seconds)


async def test_servers_that_are_gone(prometheus: Prometheus) -> None:
    first, second = prometheus.ports["gone"]
    alert = await prometheus.until_fires("ConsentfulDown", "gone")

    async with testing.serve(port=first):
        await prometheus.until_resolved("ConsentfulDown", "gone")
        await prometheus.until_fires("ConsentfulInstanceDown", "gone", instance=f"127.0.0.1:{second}")
        async with testing.serve(port=second):
            await prometheus.until_resolved("ConsentfulInstanceDown", "gone")
            await prometheus.until_quiet("gone")

    assert alert["annotations"]["summary"] == "No Consentful server of consentful-gone responds"


async def test_a_worker_that_is_killed(prometheus: Prometheus) -> None:
    (port,) = prometheus.ports["workers"]
    async with serving("--workers", "2", "--port", str(port)) as (_, said, child):
        await prometheus.until_resolved("ConsentfulDown", "workers")
        os.kill(pids(said)[0], signal.SIGKILL)
        await prometheus.until_fires("ConsentfulWorkersRestarting", "workers")
        await prometheus.until_resolved("ConsentfulWorkersRestarting", "workers")
        child.terminate()


async def test_a_task_that_fails_and_a_clock_that_is_wrong(
    prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = prometheus.ports["chores"]
    clock = Watch(late=20 * 60)

    async def fails() -> bool:
        raise RuntimeError

    async with testing.serve(port=port, clock=clock) as served:
        await prometheus.until_fires("ConsentfulClockWrong", "chores")
        with monkeypatch.context() as broken:
            broken.setattr(served.service.store, "hold_reserve", fails)
            clock.advance(20 * 60)
            await prometheus.until_resolved("ConsentfulClockWrong", "chores")
            await prometheus.until_fires("ConsentfulChoreNotRun", "chores", chore="reserve")
            for _ in range(2):  # of a counter a growth is seen, so it is twice here
                clock.advance(30)
                await prometheus.until_fires("ConsentfulChoreFailing", "chores", chore="reserve")
        clock.jump(400 * DAY)
        clock.advance(3600)
        await prometheus.until_fires("ConsentfulRetentionHalted", "chores")
        clock.jump(-400 * DAY)
        clock.advance(3600)
        for name in ("ConsentfulChoreFailing", "ConsentfulChoreNotRun", "ConsentfulRetentionHalted"):
            await prometheus.until_resolved(name, "chores")
