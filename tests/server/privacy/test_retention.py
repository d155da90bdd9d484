"""Retention: what is past its time is gone within the hour, and a clock that jumps erases nothing (art. 5(1)(e))."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful.wire import Consent
from consentful_server import cli, testing
from consentful_server.access_log.chain import SERVICE
from consentful_server.archive.store import StoredDialog, Tombstone
from consentful_server.clock import to_micros
from consentful_server.dialogs.dialog import Granted
from consentful_server.operations import backup
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.privacy.retention import AGAIN_S, EVERY_S, Retention, Trust, purge
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.open import backend_of
from consentful_server.testing import FakeClock
from sealed import CATALOGUE, START, spoken

KEPT_FOR = timedelta(days=30).total_seconds()
HALTED = "nothing is purged until the clock is correct; if it is, run `consentful purge --trust-clock`"
GOES_ON = "the clock is trusted again; expired dialogs are purged"


class Watch(FakeClock):
    """A fake clock that an operator can also set wrong."""

    def jump(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Watch:
    return Watch(START)


@pytest.fixture
async def service(tmp_path: Path, clock: Watch) -> AsyncGenerator[Service]:
    async with open_service(Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys"), clock) as opened:
        yield opened


async def keep(service: Service, dialog_id: str) -> None:
    dialog = spoken(dialog_id)
    granted = dialog.decide(Consent(True, 2), CATALOGUE)
    assert isinstance(granted, Granted)
    await service.archive.keep(dialog, granted, owner="shop", channel="websocket")


def retention_of(service: Service, clock: Watch) -> Retention:
    store = service.store
    return Retention(service.archive, store.dialogs, store.leases, store.trusted_time, clock)


async def is_kept(service: Service, dialog_id: str) -> bool:
    return isinstance(await service.store.dialogs.find(dialog_id), StoredDialog)


async def test_a_dialog_is_purged_when_its_notices_time_is_over_and_not_before(service: Service, clock: Watch) -> None:
    await keep(service, "d-old")
    clock.advance(60)
    await keep(service, "d-young")

    clock.advance(KEPT_FOR - 60.000001)
    assert await purge(service.archive, service.store.dialogs, clock) == 0
    clock.advance(1)
    assert await purge(service.archive, service.store.dialogs, clock) == 1

    found = await service.store.dialogs.find("d-old")
    assert isinstance(found, Tombstone)
    assert found.reason == "expired"
    assert await is_kept(service, "d-young")


async def test_the_server_purges_every_hour(service: Service, clock: Watch) -> None:
    await keep(service, "d-1")
    retention = retention_of(service, clock)
    clock.advance(10)

    for _ in range(int(KEPT_FOR // EVERY_S)):
        await retention.tick()
        assert await is_kept(service, "d-1")
        clock.advance(EVERY_S)
    await retention.tick()

    assert not await is_kept(service, "d-1")


@pytest.mark.parametrize("jump", [KEPT_FOR * 2, -KEPT_FOR], ids=["ahead", "back"])
async def test_a_clock_that_jumps_halts_the_purge(service: Service, clock: Watch, jump: float) -> None:
    await keep(service, "d-1")
    retention = retention_of(service, clock)
    await retention.tick()

    clock.jump(jump)
    for _ in range(3):
        clock.advance(EVERY_S)
        await retention.tick()

    assert retention.is_halted
    assert await is_kept(service, "d-1")


@pytest.mark.parametrize("jump", [KEPT_FOR * 2, -KEPT_FOR], ids=["ahead", "back"])
async def test_a_clock_that_jumped_and_is_right_again_lets_the_purge_go_on(
    service: Service, clock: Watch, jump: float
) -> None:
    await keep(service, "d-1")
    retention = retention_of(service, clock)
    await retention.tick()
    clock.jump(jump)
    clock.advance(EVERY_S)
    await retention.tick()
    halted = retention.is_halted

    clock.jump(-jump)
    clock.advance(AGAIN_S)
    await retention.tick()

    assert (halted, retention.is_halted) == (True, False)
    assert await is_kept(service, "d-1")


@pytest.mark.parametrize(
    "stopped_for",
    [timedelta(days=400), timedelta(days=-400), timedelta(minutes=-30), timedelta(days=7, hours=1)],
    ids=str,
)
async def test_a_clock_that_is_wrong_at_the_start_purges_nothing_until_it_is_right(
    tmp_path: Path, stopped_for: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    before, place = Watch(START), Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")
    async with open_service(place, before) as service:
        await keep(service, "d-1")
        await retention_of(service, before).tick()
    clock = Watch(START + stopped_for)
    for _ in range(2):  # nothing that the server writes with the wrong clock makes it trusted at the next start
        async with open_service(place, clock) as service:
            retention = retention_of(service, clock)
            await service.store.dialogs.find("d-1")
            await service.access_log.write(SERVICE, "log.read")
            for _ in range(3):
                await retention.tick()
                clock.advance(AGAIN_S)
            assert retention.is_halted
            assert await is_kept(service, "d-1")

    async with open_service(place, clock) as service:
        retention = retention_of(service, clock)
        await retention.tick()
        clock.jump(-stopped_for.total_seconds())
        clock.advance(AGAIN_S)
        await retention.tick()

        assert not retention.is_halted
        assert await is_kept(service, "d-1")
    said = [record.message for record in caplog.records if record.name == "consentful.retention"]
    assert said == [HALTED] * 3 + [GOES_ON]


@pytest.mark.parametrize("stopped_for", [timedelta(0), timedelta(days=6), timedelta(minutes=-10)], ids=str)
async def test_a_server_that_was_stopped_for_days_purges_at_its_start(tmp_path: Path, stopped_for: timedelta) -> None:
    clock, place = Watch(START), Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")
    async with open_service(place, clock) as service:
        await keep(service, "d-1")
        clock.advance(KEPT_FOR)
        await service.store.trusted_time.trust(to_micros(clock.now()))
    later = Watch(clock.now() + stopped_for)

    async with open_service(place, later) as service:
        await retention_of(service, later).tick()

        assert await is_kept(service, "d-1") == (stopped_for < timedelta(0))


async def test_an_operator_trusts_a_clock_that_looks_wrong_and_the_server_goes_on(
    service: Service, clock: Watch
) -> None:
    await keep(service, "d-1")
    retention = retention_of(service, clock)
    await retention.tick()
    clock.jump(KEPT_FOR)  # the machine was suspended
    clock.advance(EVERY_S)
    await retention.tick()
    assert retention.is_halted

    await Trust(service.store.trusted_time, clock).give()
    clock.advance(AGAIN_S)
    await retention.tick()

    assert not retention.is_halted
    assert not await is_kept(service, "d-1")


def test_the_command_refuses_a_clock_that_looks_wrong_until_the_operator_trusts_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")

    async def prepare() -> None:
        async with open_service(place, Watch(START)) as service:  # months before the clock of this machine
            await keep(service, "d-1")
            await service.store.trusted_time.trust(to_micros(START))

    asyncio.run(prepare())
    command = ["purge", "--data-dir", str(place.data_dir), "--keys-dir", str(place.keys_dir)]

    refused, error = cli.run(command), capsys.readouterr().err
    trusted, done = cli.run([*command, "--trust-clock"]), capsys.readouterr().out

    assert (refused, trusted) == (1, 0)
    assert "last trusted at 2026-01-01 00:00 UTC" in error
    assert "--trust-clock" in error
    assert done == "1 dialogs were erased.\n"


async def test_a_restored_store_trusts_the_clock(tmp_path: Path, service: Service, clock: Watch) -> None:
    await keep(service, "d-1")
    await retention_of(service, clock).tick()
    made = await backup.back_up(service, tmp_path / "copies", clock.now())
    there, later = Settings(data_dir=tmp_path / "b" / "data", keys_dir=tmp_path / "b" / "keys"), Watch(START)
    later.advance(KEPT_FOR + 1)

    backup.restore(tmp_path / "copies", made.name, backend_of(there.database, there.data_dir), there.keys_dir)

    async with open_service(there, later) as restored:
        await retention_of(restored, later).tick()
        assert not await is_kept(restored, "d-1")


async def test_readiness_and_a_metric_tell_that_retention_is_halted(tmp_path: Path) -> None:
    clock = Watch(START)
    async with testing.serve(clock=clock, folder=tmp_path) as served, ClientSession(served.url) as http:
        await served.service.store.trusted_time.trust(to_micros(START - timedelta(days=400)))
        said: list[Any] = []
        for _ in range(2):
            housekeeping = Housekeeping(served.service)
            (chore,) = [it for it in housekeeping.chores if it.name == "retention"]
            await housekeeping.do(chore)
            async with http.get("/metrics") as response:
                said.append(("consentful_retention_halted 1.0" in await response.text(), housekeeping.purges))
            await Trust(served.service.store.trusted_time, clock).give()
        async with http.get("/readyz") as response:
            assert (response.status, (await response.json())["status"]) == (200, "ready")
    assert said == [(True, False), (False, True)]


async def test_many_expired_dialogs_are_all_purged(service: Service, clock: Watch) -> None:
    for number in range(450):
        await keep(service, f"d-{number}")
    clock.advance(KEPT_FOR)

    assert await purge(service.archive, service.store.dialogs, clock) == 450
    assert await service.store.dialogs.count_expired(to_micros(clock.now())) == 0


async def test_of_many_processes_one_purges(tmp_path: Path, service: Service, clock: Watch) -> None:
    await keep(service, "d-1")
    ours, theirs = retention_of(service, clock), "another process"
    for _ in range(int(KEPT_FOR // EVERY_S) - 1):
        clock.advance(EVERY_S)
        await ours.tick()
    clock.advance(EVERY_S)
    assert await service.store.leases.take("retention", theirs, timedelta(minutes=5))

    await ours.tick()
    assert await is_kept(service, "d-1")

    clock.advance(EVERY_S)  # the other one died: its lease is over
    await ours.tick()
    assert not await is_kept(service, "d-1")
    assert await service.store.leases.take("retention", theirs, timedelta(minutes=5))
