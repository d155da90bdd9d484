"""Workers that crash, refuse or do not end; their processes are real, and what they do is a test's."""

import asyncio
import logging
import signal
import sys
from pathlib import Path

import pytest

import short_lives
from consentful_server.settings import Settings
from consentful_server.workers import supervisor as supervision
from consentful_server.workers.supervisor import Patience, Supervisor, Work

PATIENT = Patience()


def supervisor(folder: Path, work: Work, workers: int = 1, patience: Patience = PATIENT) -> Supervisor:
    return Supervisor(Settings(data_dir=folder, grace=0), [()] * workers, work, patience)


async def files(folder: Path, number: int) -> None:
    """Return once there are so many files in the folder."""
    async with asyncio.timeout(60):
        while len(list(folder.iterdir())) < number:  # noqa: ASYNC110 - another process makes them
            await asyncio.sleep(0.01)


def said(caplog: pytest.LogCaptureFixture, message: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if message in record.message]


async def until_said(caplog: pytest.LogCaptureFixture, message: str, times: int = 1) -> None:
    """Return once this was logged so often."""
    async with asyncio.timeout(60):
        while len(said(caplog, message)) < times:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)


async def test_a_crash_loop_ends_loudly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(60):
        status = await supervisor(tmp_path, short_lives.crash).run()

    assert status == 70
    ended = said(caplog, "worker ended")
    assert [record.__dict__["exit_status"] for record in ended] == [3] * 5
    assert [record.__dict__["replaced_in_s"] for record in ended] == [0, 0.5, 1, 2, None]
    assert len(said(caplog, "mend that and start the service again")) == 1


async def test_a_refusal_is_not_tried_again_and_stops_the_other_workers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.timeout(60):
        status = await supervisor(tmp_path, short_lives.be_refused, workers=2).run()

    assert status == 2
    assert 1 <= len(said(caplog, "worker ended")) <= 2
    assert said(caplog, "a worker refused to start")


async def test_a_killed_worker_is_replaced_and_its_signal_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = asyncio.create_task(supervisor(tmp_path, short_lives.crash_once).run())
    await files(tmp_path, 2)

    signal.raise_signal(signal.SIGTERM)  # the supervisor's, which stops its worker by the same

    assert await running == 0
    (ended,) = said(caplog, "worker ended")
    assert ended.__dict__["signal"] == "SIGKILL"


@pytest.mark.parametrize(("signals", "patience"), [(1, Patience(to_end=0.1)), (2, Patience(600, 0.1))])
async def test_workers_that_do_not_end_are_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, signals: int, patience: Patience
) -> None:
    running = asyncio.create_task(supervisor(tmp_path, short_lives.ignore_signals, 2, patience).run())
    await files(tmp_path, 2)

    for _ in range(signals):
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)  # each signal is a turn of the loop; two that wait together are one

    async with asyncio.timeout(30):
        assert await running == 1
    assert len(said(caplog, "worker killed")) == 2
    assert len(said(caplog, "worker failed while it was stopped")) == 2


async def test_a_system_without_processes_is_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_process: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", none_left)
    running = asyncio.create_task(supervisor(tmp_path, short_lives.crash).run())
    await until_said(caplog, "worker could not be started", 2)

    signal.raise_signal(signal.SIGTERM)

    assert await running == 0


@pytest.mark.parametrize("work", [short_lives.hang_once, short_lives.hang_before_serving_once])
async def test_a_worker_that_hangs_is_killed_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, work: Work
) -> None:
    monkeypatch.setattr(supervision, "_ASK_EVERY_S", 0.01)
    monkeypatch.setattr(supervision, "_ANSWER_S", 0.05)
    monkeypatch.setattr(supervision, "_UNANSWERED_AT_START", sys.maxsize)
    supervising = supervisor(tmp_path, work)
    running = asyncio.create_task(supervising.run())
    await files(tmp_path, 1)
    if work is short_lives.hang_before_serving_once:
        (first,) = supervising._workers  # pyright: ignore[reportPrivateUsage]
        monkeypatch.setattr(supervision, "_UNANSWERED_AT_START", first.silent + 10)
    await until_said(caplog, "its event loop does not answer")
    for name in ("_UNANSWERED", "_UNANSWERED_AT_START"):  # the second one may start as slowly as it will
        monkeypatch.setattr(supervision, name, sys.maxsize)
    await files(tmp_path, 2)

    signal.raise_signal(signal.SIGTERM)

    async with asyncio.timeout(30):
        assert await running == 0
    (killed,) = said(caplog, "its event loop does not answer")
    (ended,) = said(caplog, "worker ended")
    assert killed.__dict__["worker"] == ended.__dict__["worker"] == 0
    assert (ended.__dict__["signal"], ended.__dict__["replaced_in_s"]) == ("SIGKILL", 0)


async def test_a_worker_that_answers_late_does_not_hang(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_ASK_EVERY_S", 0.02)
    monkeypatch.setattr(supervision, "_ANSWER_S", 0)
    monkeypatch.setattr(supervision, "_UNANSWERED", 60)
    monkeypatch.setattr(supervision, "_UNANSWERED_AT_START", sys.maxsize)
    running = asyncio.create_task(supervisor(tmp_path, short_lives.answer_late).run())
    await files(tmp_path, 70)  # by then it would have been killed if late answers were none

    signal.raise_signal(signal.SIGTERM)

    async with asyncio.timeout(30):
        assert await running == 0
    assert not said(caplog, "worker ended")
