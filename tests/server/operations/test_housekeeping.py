"""Housekeeping: a chore that fails or hangs holds up no other, is told, and recovers by itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server.errors import ChoresFailing, StorageFailed
from consentful_server.keys.masters import FileMasters
from consentful_server.operations import housekeeping as housekeeping_module
from consentful_server.operations.housekeeping import PATIENCE_S, Chore, Housekeeping
from consentful_server.service import open_service
from consentful_server.settings import Settings
from consentful_server.testing import FakeClock, Served

CHORES = (
    *("retention", "rotation", "notices", "counters", "reserve", "words", "requests", "feed", "keys"),
    *("disks", "lag", "readiness", "anchor"),
)
MARKER = "find the marker"


@pytest.fixture
def housekeeping(service: Served) -> Housekeeping:
    return Housekeeping(service.service)


def chore(housekeeping: Housekeeping, name: str, work: Callable[[], Awaitable[object]], **how: Any) -> Chore:
    (found,) = [each for each in housekeeping.chores if each.name == name]
    return found._replace(work=work, **how)


def sample(service: Served, name: str, chore: str) -> float | None:
    return service.service.metrics.registry.get_sample_value(name, {"chore": chore})


async def fails() -> None:
    raise RuntimeError(MARKER)


async def hangs() -> None:
    await asyncio.Event().wait()


async def works() -> None:
    """Return."""


def test_every_chore_is_known_by_name(housekeeping: Housekeeping) -> None:
    assert tuple(each.name for each in housekeeping.chores) == CHORES


@pytest.mark.parametrize("name", CHORES)
@pytest.mark.parametrize("broken", [fails, hangs], ids=["fails", "hangs"])
async def test_a_chore_that_breaks_is_counted_told_and_recovers(
    service: Served,
    housekeeping: Housekeeping,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    name: str,
    broken: Callable[[], Awaitable[object]],
) -> None:
    breaking = chore(housekeeping, name, broken, within_s=0.01)

    await housekeeping.do(breaking)
    housekeeping.check()  # once is no reason to turn dialogs away
    clock.advance(PATIENCE_S)
    await housekeeping.do(breaking)
    with pytest.raises(ChoresFailing, match=name):
        housekeeping.check()

    assert sample(service, "consentful_chore_failures_total", name) == 2
    assert sample(service, "consentful_chore_last_success_timestamp_seconds", name) is None
    (first, _) = [record for record in caplog.records if record.message == "chore failed"]
    assert vars(first)["chore"] == name
    assert MARKER not in caplog.text

    await housekeeping.do(chore(housekeeping, name, works))
    housekeeping.check()
    assert sample(service, "consentful_chore_last_success_timestamp_seconds", name) == clock.now().timestamp()


async def test_a_store_that_cannot_write_is_a_failure_of_the_chore_that_needed_it(housekeeping: Housekeeping) -> None:
    async def cannot() -> None:
        raise StorageFailed

    assert not await housekeeping.do(chore(housekeeping, "counters", cannot))


async def test_the_others_go_on_while_one_hangs_and_one_fails(service: Served) -> None:
    housekeeping = Housekeeping(service.service)
    done = {name: asyncio.Event() for name in CHORES}

    def work(name: str) -> Callable[[], Awaitable[object]]:
        async def at_once() -> None:
            done[name].set()
            await {"rotation": hangs, "notices": fails}.get(name, works)()

        return at_once

    housekeeping.chores = tuple(each._replace(work=work(each.name)) for each in housekeeping.chores)
    running = asyncio.create_task(housekeeping.run())
    try:
        async with asyncio.timeout(10):
            await asyncio.gather(*(event.wait() for event in done.values()))
        assert not running.done()
    finally:
        running.cancel()


async def test_readyz_tells_which_chore_keeps_failing_and_is_ready_again(
    service: Served, http: ClientSession, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = asyncio.Event()

    async def breaks() -> bool:
        called.set()
        raise RuntimeError(MARKER)

    async def holds() -> bool:
        called.set()
        return True

    async def done_with(hold_reserve: Callable[[], Awaitable[bool]]) -> None:
        monkeypatch.setattr(service.service.store, "hold_reserve", hold_reserve)
        clock.advance(PATIENCE_S)
        called.clear()
        async with asyncio.timeout(10):
            await called.wait()

    await done_with(breaks)
    await done_with(breaks)
    async with http.get("/readyz") as response:
        problem = await response.json(content_type=None)
    await done_with(holds)
    async with http.get("/readyz") as again:
        ready = again.status

    assert (response.status, problem["code"], response.headers["Retry-After"]) == (503, "chores", "30")
    assert "reserve" in problem["detail"]
    assert ready == 200


async def test_a_master_that_another_process_destroys_while_the_folder_is_read_is_passed_over(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from consentful_server.keys import files, roots

    holder = FileMasters(service.folder / "keys")
    holder.make(2)
    read = files.read_secret

    def destroyed_first(path: Any, *more: Any) -> bytes:
        if path.name == "wrapping-0001.key":
            holder.destroy(1)
        return read(path, *more)

    monkeypatch.setattr(roots, "read_secret", destroyed_first)

    assert set(holder.all()) == {2}


async def test_deadlines_that_fail_once_are_tried_again_and_stop_no_other_chore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(housekeeping_module, "_TICK_S", 0)
    ticks: list[float] = []
    ticked_again = asyncio.Event()

    def tick(now: float) -> Iterator[None]:
        ticks.append(now)
        if len(ticks) == 1:
            raise RuntimeError(MARKER)
        ticked_again.set()
        yield

    async with open_service(Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")) as service:
        monkeypatch.setattr(service.registry, "tick_in_turns", tick)
        with caplog.at_level(logging.ERROR, "consentful.housekeeping"):
            running = asyncio.create_task(Housekeeping(service).run())
            await ticked_again.wait()

            assert not running.done()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        failures = service.metrics.registry.get_sample_value("consentful_chore_failures_total", {"chore": "deadlines"})

    assert failures == 1
    assert [record.__dict__["chore"] for record in caplog.records] == ["deadlines"]
    assert MARKER not in caplog.text
