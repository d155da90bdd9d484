"""The folder of backups: what is deleted in it and when, what is left by a crash, and which folders are refused."""

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from consentful_server import cli
from consentful_server.errors import BackupRunning, BadBackup
from consentful_server.operations import backup
from consentful_server.operations.backup_schedule import AGAIN_S
from consentful_server.operations.copies import Copies, name_of
from consentful_server.operations.housekeeping import PATIENCE_S, Housekeeping
from consentful_server.operations.keeping import BackupRule
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.open import backend_of
from consentful_server.testing import FakeClock
from kept import keep
from postgres_server import database_of

FIRST = datetime(2026, 1, 5, 3, tzinfo=UTC)
DAY = timedelta(days=1)
Output = pytest.CaptureFixture[str]


def place(home: Path, **settings: object) -> Settings:
    return Settings(data_dir=home / "data", keys_dir=home / "keys", **settings)  # pyright: ignore[reportArgumentType]


@pytest.fixture(params=["sqlite", "postgres"])
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    database = await database_of(tmp_path) if request.param == "postgres" else ""
    return place(tmp_path, database=database, backup_folder=tmp_path / "copies")


@pytest.fixture
async def parts(settings: Settings, clock: FakeClock) -> AsyncGenerator[Service]:
    async with open_service(settings, clock) as service:
        await keep(service, "d-1")
        yield service


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    return Copies(tmp_path / "copies")


def restored(copies: Copies, name: str, home: Path) -> None:
    backup.restore(copies.folder, name, backend_of("", home / "data"), home / "keys")


async def test_old_backups_are_deleted_data_and_keys(parts: Service, copies: Copies, tmp_path: Path) -> None:
    made = [await backup.back_up(parts, copies.folder, FIRST + day * DAY, BackupRule(daily=2)) for day in range(5)]

    assert copies.names() == [made[3].name, made[4].name]
    assert made[4].removed == [made[2].name]
    assert sorted(path.name for path in (copies.folder / "keys").iterdir()) == copies.names()
    for name in copies.names():
        restored(copies, name, tmp_path / name)


async def test_what_was_just_made_stays_after_the_clock_was_set_back(parts: Service, copies: Copies) -> None:
    later = await backup.back_up(parts, copies.folder, FIRST + 30 * DAY, BackupRule(last=1))

    made = [await backup.back_up(parts, copies.folder, FIRST + day * DAY, BackupRule(last=1)) for day in range(2)]

    assert copies.names() == [made[1].name, later.name]


async def test_other_files_stay(parts: Service, copies: Copies) -> None:
    for name in ("data/notes.txt", "data/mine.db", "keys/mine/README"):
        (copies.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (copies.folder / name).write_text("mine")

    for day in range(2):
        await backup.back_up(parts, copies.folder, FIRST + day * DAY, BackupRule(last=1))

    assert {path.read_text() for path in copies.folder.rglob("*") if path.name in ("notes.txt", "mine.db", "README")}
    assert (copies.folder / "keys/mine/README").exists()
    assert len(copies.names()) == 1


@pytest.mark.parametrize("renamed", [False, True], ids=["before the renames", "between them"])
async def test_what_a_killed_backup_left_is_deleted_by_the_next(
    parts: Service, copies: Copies, tmp_path: Path, renamed: bool
) -> None:
    killed = await backup.back_up(parts, copies.folder, FIRST)
    whole, partial = copies.at(killed.name), copies.partial(killed.name)
    os.rename(whole.keys, partial.keys)
    if not renamed:
        os.rename(whole.data, partial.data)
        partial.data.with_name(partial.data.name + "-journal").touch()
    with pytest.raises(BadBackup, match="no backup"):
        restored(copies, killed.name, tmp_path / "there")
    assert copies.newest(FIRST) is None

    made = await backup.back_up(parts, copies.folder, FIRST + DAY)

    assert [path.name for path in (copies.folder / "data").iterdir()] == [f"{made.name}.db"]
    assert [path.name for path in (copies.folder / "keys").iterdir()] == [made.name]


async def test_of_two_at_once_one_makes_its_backup(
    parts: Service, copies: Copies, settings: Settings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    copying, go_on = asyncio.Event(), asyncio.Event()
    real = parts.store.snapshot

    async def snapshot(data: Path, keys: Path) -> None:
        copying.set()
        await go_on.wait()
        await real(data, keys)

    monkeypatch.setattr(parts.store, "snapshot", snapshot)
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(open_service(settings, clock)) if settings.database else parts
        first = asyncio.create_task(backup.back_up(parts, copies.folder, FIRST))
        await copying.wait()

        with pytest.raises(BackupRunning, match="run the backup again"):
            await backup.back_up(other, copies.folder, FIRST + DAY)

        go_on.set()
        made = await first
        assert copies.names() == [made.name]
        await backup.back_up(other, copies.folder, FIRST + DAY)
        assert len(copies.names()) == 2


async def test_a_disk_without_room_is_not_filled(
    parts: Service, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    await backup.back_up(parts, copies.folder, FIRST)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]

    with pytest.raises(BadBackup, match=r"less room.*nothing was kept"):
        await backup.back_up(parts, copies.folder, FIRST + DAY)

    assert copies.names() == [name_of(FIRST)]


@pytest.mark.parametrize("folder", [".", "data", "data/copies", "keys", "keys/copies", "link", "sub/.."])
async def test_a_folder_that_overlaps_the_data_or_the_keys_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "sub").mkdir()
    async with open_service(place(tmp_path)) as service:
        before = sorted(path for path in tmp_path.rglob("*") if not path.name.startswith("consentful.db"))
        with pytest.raises(BadBackup, match="overlaps"):
            await backup.back_up(service, tmp_path / folder, FIRST)

        assert sorted(path for path in tmp_path.rglob("*") if not path.name.startswith("consentful.db")) == before


async def test_the_folder_of_another_deployment_is_refused_and_left_alone(tmp_path: Path) -> None:
    async with open_service(place(tmp_path / "one")) as service:
        made = await backup.back_up(service, tmp_path / "copies", FIRST)
    async with open_service(place(tmp_path / "two")) as service:
        assert await service.rotation.turn()  # epoch 1 has ended here, and not there
        with pytest.raises(BadBackup, match="another deployment"):
            await backup.back_up(service, tmp_path / "copies", FIRST + DAY, BackupRule(last=1))

    assert Copies(tmp_path / "copies").opens(made.name)


async def test_spaces_and_letters_in_paths_and_links_are_no_matter(tmp_path: Path) -> None:
    home, copies = tmp_path / "Größe 1 %20?#", Copies(tmp_path / "Sicherung ‘é’ #1?")
    (tmp_path / "disk").mkdir()
    copies.folder.symlink_to(tmp_path / "disk")
    async with open_service(place(home)) as service:
        await keep(service, "d-1")
        made = await backup.back_up(service, copies.folder, FIRST)

    restored(copies, made.name, tmp_path / "dort ü")
    async with open_service(place(tmp_path / "dort ü")) as service:
        assert await service.store.dialogs.find("d-1") is not None


async def test_the_schedule_backs_up_when_one_is_due_and_says_when_it_did(
    parts: Service, copies: Copies, clock: FakeClock
) -> None:
    housekeeping = Housekeeping(parts)
    (chore,) = (each for each in housekeeping.chores if each.name == "backup")
    made: list[int] = []
    for _ in range(50):
        await housekeeping.do(chore)
        made.append(len(copies.names()))
        clock.advance(3600)

    assert made == [1] * 24 + [2] * 24 + [3] * 2
    newest = copies.newest(clock.now())
    assert newest is not None
    value = parts.metrics.registry.get_sample_value("consentful_backup_last_success_timestamp_seconds")
    assert value == pytest.approx(newest.timestamp(), abs=1)


async def test_a_schedule_that_fails_says_what_to_do_waits_and_leaves_the_server_ready(
    parts: Service, copies: Copies, clock: FakeClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Path] = []

    async def fail(data: Path, _keys: Path) -> None:
        tries.append(data)
        data.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(data))

    housekeeping = Housekeeping(parts)
    (chore,) = (each for each in housekeeping.chores if each.name == "backup")
    monkeypatch.setattr(parts.store, "snapshot", fail)
    for _ in range(int(AGAIN_S // 60)):
        with caplog.at_level(logging.ERROR):
            await housekeeping.do(chore)
        clock.advance(60)

    assert len(tries) == 1
    assert not [path for path in copies.folder.rglob("*") if path.is_file()]
    failed = [record for record in caplog.records if record.message == "backup failed"]
    assert len(failed) == 1
    assert "No space left on device" in failed[0].__dict__["remedy"]
    assert PATIENCE_S < AGAIN_S
    housekeeping.check()
    assert parts.metrics.registry.get_sample_value("consentful_backup_last_success_timestamp_seconds") == 0
    await housekeeping.do(chore)
    assert len(tries) == 2


def test_the_command_says_what_it_deleted_and_what_can_be_restored(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli.run(["migrate"])
    for hour in range(3):
        monkeypatch.setattr(backup, "name_of", lambda _at, hour=hour: f"20260105T0{hour}0000Z")  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
        if hour == 2:
            cli.run(["roots", "rotate"])
        capsys.readouterr()
        assert cli.run(["backup", "copies", "--keep", "2"]) == 0

    said = capsys.readouterr().out
    assert "Destroyed the keys of backup 20260105T010000Z" in said
    assert "Deleted backup 20260105T000000Z" in said
    assert "Kept 2, of which 1 can be restored." in said
    assert cli.run(["backup", "copies", "--keep", "-1"]) == 2
