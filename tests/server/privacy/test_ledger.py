"""The ledger of erasures: what was to be erased stays erased, through crashes and restored backups (art. 17)."""

import os
import shutil
from pathlib import Path

import pytest

from consentful.wire import Consent
from consentful_server.archive.store import StoredDialog, Tombstone
from consentful_server.dialogs.dialog import Granted
from consentful_server.errors import BadKeys, StorageFailed
from consentful_server.privacy import ledger as ledger_module
from consentful_server.privacy.ledger import NAME, Ledger, LedgerEntry
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from sealed import CATALOGUE, spoken


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")


async def keep(service: Service, dialog_id: str) -> None:
    dialog = spoken(dialog_id)
    granted = dialog.decide(Consent(True, 2), CATALOGUE)
    assert isinstance(granted, Granted)
    await service.archive.keep(dialog, granted, owner="shop", channel="websocket")


async def test_a_restored_backup_is_erased_again_before_anything_is_served(settings: Settings, tmp_path: Path) -> None:
    async with open_service(settings) as service:
        for dialog_id in ("d-1", "d-2", "d-3"):
            await keep(service, dialog_id)
    shutil.copytree(settings.data_dir, tmp_path / "backup")
    async with open_service(settings) as service:
        for dialog_id in ("d-1", "d-3"):
            await service.archive.erase(dialog_id, "withdrawn")
    shutil.rmtree(settings.data_dir)
    shutil.copytree(tmp_path / "backup", settings.data_dir)

    async with open_service(settings) as service:
        found = {dialog_id: await service.store.dialogs.find(dialog_id) for dialog_id in ("d-1", "d-2", "d-3")}

    assert isinstance(found["d-2"], StoredDialog)
    for dialog_id in ("d-1", "d-3"):
        stone = found[dialog_id]
        assert isinstance(stone, Tombstone)
        assert stone.reason == "withdrawn"


async def test_an_erasure_that_a_crash_cut_off_is_finished_at_the_next_start(settings: Settings) -> None:
    async with open_service(settings) as service:
        await keep(service, "d-1")
    ledger = Ledger(settings.keys_dir / NAME)
    ledger.open()
    ledger.add(LedgerEntry("d-1", "requested", 1))
    ledger.sync()
    ledger.close()

    async with open_service(settings) as service:
        assert isinstance(await service.store.dialogs.find("d-1"), Tombstone)


async def test_nothing_is_erased_that_could_not_be_written_down(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    async with open_service(settings) as service:
        await keep(service, "d-1")
        with monkeypatch.context() as failing:
            failing.setattr(os, "fdatasync", full)
            with pytest.raises(StorageFailed):
                await service.archive.erase("d-1", "withdrawn")
        assert isinstance(await service.store.dialogs.find("d-1"), StoredDialog)

        await service.archive.erase("d-1", "withdrawn")

        assert isinstance(await service.store.dialogs.find("d-1"), Tombstone)


async def test_what_is_not_the_callers_is_not_written_down(settings: Settings) -> None:
    async with open_service(settings) as service:
        await keep(service, "d-1")
        assert await service.store.dialogs.erase("d-1", "withdrawn", owner="another shop") is None
        assert await service.store.dialogs.erase("unknown", "withdrawn") is None

    assert (settings.keys_dir / NAME).read_bytes() == b""


def test_a_line_that_a_crash_cut_short_is_passed_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / NAME)
    ledger.open()
    ledger.add(LedgerEntry("d-1", "withdrawn", 1))
    ledger.close()
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"dialog_id":"d-2","rea')

    assert [entry.dialog_id for entry in Ledger(tmp_path / NAME)] == ["d-1"]


def test_a_new_ledger_is_a_durable_file_before_anything_is_erased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[Path, bool]] = []

    def sync(folder: Path) -> None:
        synced.append((folder, (folder / NAME).exists()))

    monkeypatch.setattr(ledger_module, "sync_folder", sync)

    ledger = Ledger(tmp_path / NAME)
    ledger.open()
    ledger.close()

    assert synced == [(tmp_path, True)]


def test_a_ledger_that_cannot_be_written_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()

    with pytest.raises(BadKeys, match="let the server's user write to --keys-dir"):
        Ledger(tmp_path / NAME).open()
