"""Retention: what is past its time is gone within the hour, and a clock that jumps erases nothing (art. 5(1)(e))."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from consentful.wire import Consent
from consentful_server.archive.store import StoredDialog, Tombstone
from consentful_server.clock import to_micros
from consentful_server.dialogs.dialog import Granted
from consentful_server.privacy.retention import EVERY_S, Retention, purge
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.testing import FakeClock
from sealed import CATALOGUE, START, spoken

KEPT_FOR = timedelta(days=30).total_seconds()


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
    return Retention(service.archive, service.store.dialogs, service.store.leases, clock)


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
