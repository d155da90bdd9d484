"""Log lines whose reader stalls: the service goes on, and says how many were lost."""

import asyncio
import fcntl
import logging
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consentful_server.telemetry.unblocked import UnblockedHandler
from managed import manager
from ports import free_port

_SMALLEST = 4096


@contextmanager
def stalled() -> Generator[tuple[int, int]]:
    """Yield the ends of a pipe that holds one page, and is full."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _SMALLEST)
    os.write(writing, bytes(_SMALLEST))
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def say(handler: logging.Handler, message: str) -> None:
    handler.handle(logging.makeLogRecord({"msg": message}))


def test_lines_that_nobody_takes_are_dropped_and_counted_when_there_is_room_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consentful_server.telemetry.unblocked._PATIENCE_MS", 0)
    with stalled() as (reading, writing), os.fdopen(os.dup(writing), "w", buffering=1) as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        handler = UnblockedHandler()
        handler.setFormatter(logging.Formatter("%(message)s %(lines)s", defaults={"lines": ""}))

        say(handler, "first")
        say(handler, "second")
        os.read(reading, _SMALLEST)
        say(handler, "third")
        after = os.read(reading, _SMALLEST)
        say(handler, "fourth")

        assert after.split() == [b"log", b"lines", b"were", b"lost", b"2", b"third"]
        assert os.read(reading, _SMALLEST).split() == [b"fourth"]


def test_a_line_waits_for_a_reader_that_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consentful_server.telemetry.unblocked._PATIENCE_MS", 60_000)
    with stalled() as (reading, writing), os.fdopen(os.dup(writing), "w", buffering=1) as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        handler = UnblockedHandler()

        async def both() -> None:
            saying = asyncio.create_task(asyncio.to_thread(say, handler, "a line"))
            await asyncio.to_thread(os.read, reading, _SMALLEST)
            await saying

        asyncio.run(both())

        assert os.read(reading, _SMALLEST) == b"a line\n"


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_server_whose_log_nobody_reads_serves_and_stops(workers: int, tmp_path: Path) -> None:
    folders = ["--data-dir", str(tmp_path / "data"), "--keys-dir", str(tmp_path / "keys")]
    arguments = [*folders, "--port", str(free_port()), "--workers", str(workers)]
    with manager(tmp_path / "notify") as told, stalled() as (_, writing):
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "consentful_server", "serve", *arguments),
            stderr=writing,
            env=os.environ | told.environment,
        )
        try:
            await told.until("READY")
            child.terminate()
            assert await asyncio.wait_for(child.wait(), 30) == 0
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
