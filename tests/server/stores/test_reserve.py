"""A disk that is full to the last byte: nothing more is stored, and what has to be forgotten is forgotten."""

import os
from collections.abc import AsyncGenerator, Generator
from functools import partial
from pathlib import Path

import pytest

from consentful.wire import Consent
from consentful_server.access_log.chain import OPERATOR
from consentful_server.archive.store import Tombstone
from consentful_server.dialogs.dialog import Granted
from consentful_server.errors import StorageFailed
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.sqlite.reserve import Reserve
from sealed import CATALOGUE, spoken
from small_disk import fill, small_disk

DISK = 12 * 1024 * 1024
RESERVE = 2 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Path]:
    with small_disk(tmp_path, DISK) as mounted:
        yield mounted


@pytest.fixture
def settings(disk: Path) -> Settings:
    return Settings(data_dir=disk / "data", keys_dir=disk / "keys", reserve=RESERVE)


@pytest.fixture
async def service(settings: Settings) -> AsyncGenerator[Service]:
    async with open_service(settings) as opened:
        assert await opened.store.hold_reserve()
        yield opened


async def keep(service: Service, dialog_id: str) -> None:
    dialog = spoken(dialog_id, ("Hi",) * 200)
    granted = dialog.decide(Consent(True, 200), CATALOGUE)
    assert isinstance(granted, Granted)
    await service.archive.keep(dialog, granted, owner="shop", channel="websocket")


async def test_on_a_full_disk_what_erases_goes_on_and_nothing_else_is_stored(service: Service, disk: Path) -> None:
    await keep(service, "d-1")
    await keep(service, "d-2")
    await service.store.dialogs.residue([])  # the log is cut, and has no room of its own left
    filler = fill(disk)

    for number in range(3):
        with pytest.raises(StorageFailed):
            await keep(service, f"refused-{number}")
    request = await service.privacy_requests.erase_dialog("d-1", by=OPERATOR)
    with pytest.raises(StorageFailed):
        await keep(service, "refused-again")
    await service.archive.erase("d-2", "withdrawn")

    assert request.status == "unreadable"
    assert isinstance(await service.store.dialogs.find("d-1"), Tombstone)
    assert isinstance(await service.store.dialogs.find("d-2"), Tombstone)

    filler.unlink()
    await keep(service, "d-3")
    await Housekeeping(service).refresh()
    assert service.metrics.registry.get_sample_value("consentful_disk_reserve") == 1


async def test_a_full_disk_is_told_at_once_and_until_there_is_room(
    service: Service, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Readiness and the gauge that operators alert on, although no erasure has used the reserve."""
    housekeeping, gauge = (
        Housekeeping(service),
        partial(service.metrics.registry.get_sample_value, "consentful_disk_reserve"),
    )
    (reserve,) = (chore for chore in housekeeping.chores if chore.name == "reserve")
    await keep(service, "d-1")
    await service.store.dialogs.residue([])
    await service.store.probe()
    filler = fill(disk)

    with pytest.raises(StorageFailed):
        await keep(service, "refused")

    assert [record.message for record in caplog.records if "full" in record.message] == [
        "the disk is full; no dialog is stored until there is space again"
    ]
    for _ in range(2):
        with pytest.raises(StorageFailed):
            await service.store.probe()
        await housekeeping.do(reserve)
        assert gauge() == 0
    os.truncate(filler, filler.stat().st_size - 256 * 1024)
    with pytest.raises(StorageFailed):  # a small write succeeds, and a dialog would not
        await service.store.probe()

    filler.unlink()
    await housekeeping.do(reserve)
    assert gauge() == 1
    await service.store.probe()
    await keep(service, "d-2")


async def test_an_erasure_on_a_full_disk_outlives_the_process(settings: Settings, disk: Path) -> None:
    async with open_service(settings) as service:
        await service.store.hold_reserve()
        await keep(service, "d-1")
        await service.store.dialogs.residue([])
        fill(disk)
        await service.archive.erase("d-1", "withdrawn")

    async with open_service(settings) as service:
        assert isinstance(await service.store.dialogs.find("d-1"), Tombstone)
        assert (await service.store.dialogs.residue(["d-1"])).is_empty


async def test_without_a_reserve_a_full_disk_keeps_from_erasing(disk: Path) -> None:
    async with open_service(Settings(data_dir=disk / "data", keys_dir=disk / "keys", reserve=0)) as service:
        assert await service.store.hold_reserve()
        await keep(service, "d-1")
        await service.store.dialogs.residue([])
        fill(disk)

        with pytest.raises(StorageFailed):
            await service.archive.erase("d-1", "withdrawn")


def test_a_reserve_is_taken_whole_or_not_at_all(disk: Path) -> None:
    reserve = Reserve({disk / "one": RESERVE, disk / "two": DISK})
    assert not reserve.is_short

    assert not reserve.allocate()

    assert reserve.is_short
    assert sorted(path.name for path in disk.iterdir()) == ["one"]
    assert os.stat(disk / "one").st_blocks * 512 >= RESERVE
    assert reserve.release()
    assert not reserve.release()
    assert list(disk.iterdir()) == []


MIB = 1024 * 1024


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


@pytest.mark.parametrize("now", [0, MIB, 2 * MIB, 4 * MIB])
def test_a_changed_reserve_takes_effect_at_the_next_start(tmp_path: Path, now: int) -> None:
    assert Reserve({tmp_path / "reserve": 2 * MIB}).allocate()

    later = Reserve({tmp_path / "reserve": now})

    assert later.allocate()
    assert sizes(tmp_path) == ({"reserve": now} if now else {})
    assert sum(path.stat().st_blocks * 512 for path in tmp_path.iterdir()) >= now, "its blocks are allocated"
    assert not later.is_short


async def test_a_server_that_starts_with_another_reserve_has_it(tmp_path: Path) -> None:
    for reserve in (MIB, 3 * MIB, 2 * MIB):
        async with open_service(
            Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys", reserve=reserve)
        ) as service:
            assert await service.store.hold_reserve()
        assert (tmp_path / "data" / "reserve").stat().st_size == reserve


def test_a_reserve_that_cannot_grow_stays_as_it_is_and_says_so(disk: Path) -> None:
    assert Reserve({disk / "reserve": RESERVE}).allocate()

    larger = Reserve({disk / "reserve": 2 * DISK})

    assert not larger.allocate()
    assert larger.is_short, "nothing is stored until there is space for what was asked for"
    assert sizes(disk) == {"reserve": RESERVE}
    assert os.statvfs(disk).f_bavail > 0


def test_a_reserve_that_another_process_releases_meanwhile_is_created_again(tmp_path: Path) -> None:
    reserve = Reserve({tmp_path / "reserve": MIB})
    assert reserve.allocate()
    assert Reserve({tmp_path / "reserve": MIB}).release()

    assert reserve.is_short
    assert reserve.allocate()
    assert sizes(tmp_path) == {"reserve": MIB}
