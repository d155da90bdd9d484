"""Epochs of the master key: when one has ended, no earlier copy of an erased key opens anywhere (GDPR art. 17)."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful.wire import Consent
from consentful_server.access_log.chain import OPERATOR
from consentful_server.archive.store import StoredDialog, Tombstone
from consentful_server.dialogs.dialog import Granted
from consentful_server.errors import BadKeys
from consentful_server.keys import rotation
from consentful_server.keys.masters import FileMasters
from consentful_server.keys.store import Rewrapped
from consentful_server.keys.vault import epoch_of
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.sqlite.connection import connect
from consentful_server.stores.sqlite.epochs import SQLiteEpochs
from consentful_server.testing import FakeClock, Served
from sealed import CATALOGUE, spoken

DAY_S = 24 * 3600


@pytest.fixture
def place(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")


async def keep(service: Service, *dialog_ids: str) -> None:
    for dialog_id in dialog_ids:
        dialog = spoken(dialog_id)
        granted = dialog.decide(Consent(True, 2), CATALOGUE)
        assert isinstance(granted, Granted)
        await service.archive.keep(dialog, granted, owner="shop", channel="websocket")


async def reads(service: Service, *dialog_ids: str) -> bool:
    """Whether these dialogs can be read, each to the last word."""
    found = [await service.store.dialogs.find(dialog_id) for dialog_id in dialog_ids]
    assert all(isinstance(dialog, StoredDialog) for dialog in found)
    return all(
        service.archive.content_digest(dialog) == dialog.content for dialog in found if isinstance(dialog, StoredDialog)
    )


def wrapping(place: Settings) -> list[str]:
    return sorted(path.name for path in place.keys_dir.glob("wrapping-*"))


async def finish(service: Service) -> None:
    while await service.rotation.tick():
        pass


async def test_an_epoch_ends_when_its_time_is_over_and_every_dialog_stays_readable(place: Settings) -> None:
    clock = FakeClock()
    async with open_service(place, clock) as service:
        await keep(service, "d-1", "d-2")
        clock.advance(7 * DAY_S - 1)
        assert not await service.rotation.tick()
        clock.advance(1)
        await finish(service)

        assert wrapping(place) == ["wrapping-0002.key"]
        assert await reads(service, "d-1", "d-2")
        await keep(service, "d-3")
        assert not await service.rotation.tick()
    async with open_service(place, clock) as service:
        assert await reads(service, "d-1", "d-2", "d-3")


async def test_an_erasure_is_complete_when_its_epoch_has_ended_and_not_before(
    service: Served, http: ClientSession
) -> None:
    await keep(service.service, "d-1", "d-2")
    request = await service.service.privacy_requests.erase_dialog("d-1", by=OPERATOR)

    async def status() -> Any:
        async with http.get(f"/v1/privacy-requests/{request.id}") as response:
            return (await response.json())["status"]

    def incomplete() -> float | None:
        return service.service.metrics.registry.get_sample_value("consentful_erasures_incomplete")

    await Housekeeping(service.service).refresh()
    before = await status(), incomplete()
    await service.service.rotation.begin()
    begun = await status()
    await finish(service.service)
    await Housekeeping(service.service).refresh()
    after = await status(), incomplete()
    stone = await service.service.store.dialogs.find("d-1")

    assert (before, begun, after) == (("unreadable", 1.0), "unreadable", ("complete", 0.0))
    assert isinstance(stone, Tombstone)
    assert stone.complete


async def test_an_erasures_report_is_signed_again_when_it_is_complete(service: Served) -> None:
    await keep(service.service, "d-1")
    request = await service.service.privacy_requests.erase_dialog("d-1", by=OPERATOR)

    async def signed() -> tuple[str, str]:
        found = await service.service.store.requests.find(request.id)
        assert found is not None
        return found.status, service.service.signer.verified(found.report or "")["status"]

    at_once = await signed()
    await service.service.rotation.begin()
    await finish(service.service)
    ended = await signed()
    await Housekeeping(service.service).refresh()

    assert (at_once, ended, await signed()) == (
        ("unreadable", "unreadable"),
        ("complete", "unreadable"),
        ("complete", "complete"),
    )
    assert await service.service.store.requests.ended() == []


async def test_no_copy_of_a_key_from_before_opens_with_the_masters_there_are(place: Settings, tmp_path: Path) -> None:
    async with open_service(place) as service:
        await keep(service, "d-1", "d-2")
        copies = [
            dialog.wrapped
            for it in ("d-1", "d-2")
            if isinstance(dialog := await service.store.dialogs.find(it), StoredDialog)
        ]
        await service.archive.erase("d-1", "requested")
        assert await service.rotation.turn()
        here = [path.read_bytes() for path in place.data_dir.iterdir()]

    assert len(copies) == 2
    assert not any(copy in content for copy in copies for content in here)
    assert {epoch_of(copy) for copy in copies}.isdisjoint(FileMasters(place.keys_dir).all())


class CrashError(Exception):
    """The process dies here."""


POINTS = [
    (FileMasters, "make"),
    (SQLiteEpochs, "begin"),
    (SQLiteEpochs, "rewrap"),
    (SQLiteEpochs, "empty"),
    (FileMasters, "destroy"),
    (SQLiteEpochs, "end"),
]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("part", "step"), POINTS, ids=[step for _, step in POINTS])
async def test_a_rotation_that_crashed_anywhere_is_finished_by_the_next_start(
    place: Settings, monkeypatch: pytest.MonkeyPatch, part: type[Any], step: str, moment: str
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(rotation, "_AT_ONCE", 2)
    async with open_service(place, clock) as service:
        await keep(service, "d-1", "d-2", "d-3", "d-4")
        request = await service.privacy_requests.erase_dialog("d-4", by=OPERATOR)
        clock.advance(7 * DAY_S)
        with monkeypatch.context() as patch:
            _crash(patch, part, step, moment)
            with pytest.raises(CrashError):
                await finish(service)

    async with open_service(place, clock) as service:
        assert await reads(service, "d-1", "d-2", "d-3")
        await keep(service, "d-5")
        clock.advance(301)  # the lease of the process that died
        await finish(service)
        done = await service.store.requests.find(request.id)

        assert await reads(service, "d-1", "d-2", "d-3", "d-5")
        assert done is not None
        assert done.status == "complete"
    assert wrapping(place) == ["wrapping-0002.key"]
    async with open_service(place, clock) as service:
        assert await reads(service, "d-1", "d-2", "d-3", "d-5")


def _crash(patch: pytest.MonkeyPatch, part: type[Any], step: str, moment: str) -> None:
    real = getattr(part, step)

    def file_step(self: Any, *given: Any) -> None:
        if moment == "after":
            real(self, *given)
        raise CrashError

    async def store_step(self: Any, *given: Any) -> None:
        if moment == "after":
            await real(self, *given)
        raise CrashError

    patch.setattr(part, step, file_step if part is FileMasters else store_step)


async def test_another_process_meets_no_key_that_it_cannot_read_and_keeps_none_that_will_be_lost(
    place: Settings,
) -> None:
    async with open_service(place) as one, open_service(place) as other:
        await keep(one, "d-1")
        assert await reads(other, "d-1")
        assert await one.rotation.turn()

        assert await reads(other, "d-1")
        await keep(other, "d-2")
        assert await reads(one, "d-1", "d-2")
        found = await one.store.dialogs.find("d-2")
        assert isinstance(found, StoredDialog)
        assert epoch_of(found.wrapped) == 2


async def test_a_keys_folder_that_is_gone_for_a_while_takes_no_master_away(place: Settings) -> None:
    """Such as a network file system that is away: what was loaded at the start goes on."""
    async with open_service(place) as service:
        await keep(service, "d-1")
        gone = place.keys_dir.rename(place.keys_dir.with_name("gone"))
        with pytest.raises(BadKeys, match="epoch 1 is missing from --keys-dir; put it back"):
            await service.rotation.renew()
        await keep(service, "d-2")
        assert await reads(service, "d-1", "d-2")

        gone.rename(place.keys_dir)
        await service.rotation.renew()


async def test_of_many_processes_one_rotates(place: Settings) -> None:
    clock = FakeClock()
    async with open_service(place, clock) as one, open_service(place, clock) as other:
        await keep(one, "d-1")
        clock.advance(7 * DAY_S)

        assert await one.rotation.tick()
        assert not await other.rotation.tick()
        clock.advance(301)
        await finish(other)
        assert wrapping(place) == ["wrapping-0002.key"]


async def test_a_reader_in_the_log_holds_the_old_master_until_it_is_gone(place: Settings) -> None:
    async with open_service(place) as service:
        await keep(service, "d-1")
        reader = connect((place.data_dir / "consentful.db"), read_only=True)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM dialogs").fetchone()

        assert not await service.rotation.turn()
        held = wrapping(place)
        reader.execute("ROLLBACK")
        reader.close()
        await finish(service)

    assert held == ["wrapping-0001.key", "wrapping-0002.key"]
    assert wrapping(place) == ["wrapping-0002.key"]


async def test_a_dialog_erased_while_keys_are_rewrapped_stays_erased(place: Settings) -> None:
    async with open_service(place) as service:
        await keep(service, "d-1")
        keys = await service.store.epochs.keys_before(2, 0, 10)
        await service.archive.erase("d-1", "requested")

        await service.store.epochs.rewrap([Rewrapped(keys[0].dialog, keys[0].wrapped, bytes([1]) * 64)])

        assert (await service.store.dialogs.residue(["d-1"])).is_empty


async def test_a_backup_from_an_earlier_epoch_is_refused_with_the_masters_of_today(
    place: Settings, tmp_path: Path
) -> None:
    async with open_service(place) as service:
        await keep(service, "d-1")
    shutil.copytree(place.data_dir, tmp_path / "copy")
    async with open_service(place) as service:
        assert await service.rotation.turn()
    shutil.rmtree(place.data_dir)
    shutil.copytree(tmp_path / "copy", place.data_dir)

    with pytest.raises(BadKeys, match="wrapping-0001"):
        async with open_service(place):
            pass


def test_a_destroyed_master_is_overwritten_before_it_is_unlinked(tmp_path: Path) -> None:
    masters = FileMasters(tmp_path)
    masters.make(1)
    (tmp_path / "another name").hardlink_to(tmp_path / "wrapping-0001.key")

    masters.destroy(1)
    masters.destroy(1)

    assert not (tmp_path / "wrapping-0001.key").exists()
    content = (tmp_path / "another name").read_bytes()
    assert content
    assert not any(content)


async def test_counting_keys_takes_a_hundredth_of_the_time_at_most_however_many_there_are(
    place: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, counts = FakeClock(), 0
    real = SQLiteEpochs.left

    async def left(store: SQLiteEpochs, epoch: int) -> int:
        nonlocal counts
        counts += 1
        clock.advance(9)  # so long it takes with 100 million dialogs
        return await real(store, epoch)

    async with open_service(place, clock) as service:
        await keep(service, "d-1")
        await service.rotation.begin()
        monkeypatch.setattr(SQLiteEpochs, "left", left)
        start = clock.monotonic()
        while clock.monotonic() - start < 3600:
            assert (await service.rotation.status()).left == 1
            clock.advance(30)

        assert counts == 4
