"""Several processes on one PostgreSQL: each has a ledger of its own in one keys folder, and every start reads all."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from consentful.wire import Consent
from consentful_server.archive.store import StoredDialog, Tombstone
from consentful_server.consent.notices import default_notice
from consentful_server.dialogs.dialog import Granted
from consentful_server.errors import BadKeys, Erased, StorageFailed
from consentful_server.operations import backup
from consentful_server.operations.rebuilding import rebuild_ledger
from consentful_server.privacy.ledger import NAME, ErasedEntry, Ledger, Ledgers, name_of, number_of
from consentful_server.privacy.ledger_claim import LENGTH
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.open import backend_of
from consentful_server.testing import FakeClock
from postgres_server import database_of, named_in, server
from sealed import CATALOGUE, spoken

SECOND = "erasures-2.ledger"


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A deployment on PostgreSQL whose processes share a keys folder."""
    return Settings(database=await database_of(tmp_path), data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")


@asynccontextmanager
async def nodes(settings: Settings, count: int = 2, clock: FakeClock | None = None) -> AsyncGenerator[list[Service]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_service(settings, clock)) for _ in range(count)]


async def keep(service: Service, dialog_id: str) -> None:
    dialog = spoken(dialog_id)
    granted = dialog.decide(Consent(True, 2), CATALOGUE)
    assert isinstance(granted, Granted)
    await service.archive.keep(dialog, granted, owner="shop", channel="websocket")


def erased(path: Path) -> set[str]:
    return {it.tombstone.dialog_id for it in Ledger(path) if isinstance(it, ErasedEntry)}


async def older_copy(settings: Settings, folder: Path) -> Settings:
    """Return the settings of a copy of the database as it is now; nobody may be connected to it."""
    source, target = (named_in(url) for url in (settings.database, await database_of(folder)))
    await server().run(f"DROP DATABASE {target}")
    await server().run(f"CREATE DATABASE {target} TEMPLATE {source}")
    return replace(settings, database=server().url(target))


@pytest.mark.parametrize(("name", "number"), [(NAME, 1), (SECOND, 2), ("erasures-1000.ledger", 1000)])
def test_ledgers_are_numbered(name: str, number: int) -> None:
    assert number_of(name) == number
    assert name_of(number) == name


@pytest.mark.parametrize("name", ["index.key", "erasures-2.ledger.old", "erasures-.ledger", ".erasures.ledger"])
def test_other_files_are_no_ledgers(name: str) -> None:
    assert number_of(name) == 0


async def test_each_process_writes_a_ledger_of_its_own(settings: Settings) -> None:
    async with nodes(settings) as (one, other):
        for dialog_id in ("d-1", "d-2"):
            await keep(one, dialog_id)
        await one.archive.erase("d-1", "withdrawn")
        await other.archive.erase("d-2", "withdrawn")

    assert erased(settings.keys_dir / NAME) == {"d-1"}
    assert erased(settings.keys_dir / SECOND) == {"d-2"}
    async with open_service(settings) as service:  # a ledger that is free is written on
        await keep(service, "d-3")
        await service.archive.erase("d-3", "withdrawn")
    assert erased(settings.keys_dir / NAME) == {"d-1", "d-3"}
    assert [path.name for path in Ledgers(settings.keys_dir, {}).paths] == [NAME, SECOND]


async def test_what_the_database_forgot_is_done_again_from_all_ledgers(settings: Settings, tmp_path: Path) -> None:
    async with open_service(settings) as service:
        for dialog_id in ("d-1", "d-2", "d-3"):
            await keep(service, dialog_id)
    older = await older_copy(settings, tmp_path / "older")
    async with nodes(settings) as (one, other):
        await one.archive.erase("d-1", "withdrawn")
        await keep(other, "d-4")
        await other.archive.erase("d-4", "requested")
        await other.archive.erase("d-2", "withdrawn")
        place = await one.store.exports.place()
        seen = await one.store.dialogs.horizon()

    async with open_service(older) as service:
        found = {name: await service.store.dialogs.find(name) for name in ("d-1", "d-2", "d-3", "d-4")}
        assert {name for name, it in found.items() if isinstance(it, Tombstone)} == {"d-1", "d-2", "d-4"}
        assert isinstance(found["d-3"], StoredDialog)
        assert await service.store.exports.place() > place
        with pytest.raises(Erased):
            await keep(service, "d-4")
        await keep(service, "d-5")
        assert await service.store.dialogs.horizon() > seen


@pytest.mark.parametrize(("lost", "says"), [("all of it", "is missing"), ("its end", "older copy")])
@pytest.mark.parametrize("name", [NAME, SECOND])
async def test_a_start_is_refused_without_the_ledger_of_any_process(
    settings: Settings, name: str, lost: str, says: str
) -> None:
    async with nodes(settings) as processes:
        for number, service in enumerate(processes):
            await keep(service, f"d-{number}")
            await service.archive.erase(f"d-{number}", "withdrawn")
        before = {path.name: path.read_bytes() for path in Ledgers(settings.keys_dir, {}).paths}
        for service in processes:
            await service.archive.decline("d-9", "c-1", owner=service.clock.now().isoformat(), retract=True)
    path = settings.keys_dir / name
    if lost == "all of it":
        path.unlink()
    else:
        path.write_bytes(before[name])

    with pytest.raises(BadKeys, match=rf"{name} .*{says}|{name} {says}"):
        async with open_service(settings):
            pass

    assert path.exists() == (lost == "its end")
    made = await rebuild_ledger(settings)
    assert made.erased == (lost == "all of it")
    assert made.retracted == 1
    async with open_service(settings):
        pass


async def test_a_process_that_slept_too_long_stores_nothing_until_it_has_another_ledger(settings: Settings) -> None:
    clock = FakeClock()
    async with nodes(settings, 1, clock) as (sleeper,):
        await keep(sleeper, "d-1")
        clock.advance(LENGTH.total_seconds())
        async with nodes(settings, 1, clock) as (other,):
            await keep(other, "d-2")
            await other.archive.erase("d-2", "withdrawn")
            with pytest.raises(StorageFailed):
                await sleeper.archive.erase("d-1", "withdrawn")
            assert isinstance(await other.store.dialogs.find("d-1"), StoredDialog)

            assert sleeper.ledger_claim is not None
            await sleeper.ledger_claim.renew()
            await sleeper.archive.erase("d-1", "withdrawn")

            assert isinstance(await other.store.dialogs.find("d-1"), Tombstone)
    assert "d-1" in erased(settings.keys_dir / SECOND)


async def test_a_claim_that_is_renewed_is_kept(settings: Settings) -> None:
    clock = FakeClock()
    async with nodes(settings, 1, clock) as (one,):
        assert one.ledger_claim is not None
        clock.advance(0.9 * LENGTH.total_seconds())
        await one.ledger_claim.renew()
        clock.advance(0.9 * LENGTH.total_seconds())
        async with nodes(settings, 1, clock):
            pass
        await keep(one, "d-1")
        await one.archive.erase("d-1", "withdrawn")
    assert erased(settings.keys_dir / NAME) == {"d-1"}


@pytest.mark.parametrize("keys", ["of the backup", "the newest"])
async def test_a_backup_has_every_ledger(settings: Settings, tmp_path: Path, keys: str) -> None:
    async with nodes(settings) as (one, other):
        for dialog_id in ("d-1", "d-2", "d-3"):
            await keep(one, dialog_id)
        await other.archive.erase("d-1", "withdrawn")
        made = await backup.back_up(one, tmp_path / "backups", datetime(2026, 1, 1, tzinfo=UTC))
        await other.archive.erase("d-2", "withdrawn")
    there = tmp_path / "there"
    copied = replace(settings, database=f"sqlite:///{there}/data/consentful.db")
    if keys == "of the backup":
        copied = replace(copied, keys_dir=there / "keys")

    knows = backup.restore(
        tmp_path / "backups", made.name, backend_of(copied.database, copied.data_dir), copied.keys_dir
    )

    assert knows == (keys == "the newest")
    async with open_service(copied) as service:
        for dialog_id, is_erased in (("d-1", True), ("d-2", keys == "the newest"), ("d-3", False)):
            found = await service.store.dialogs.find(dialog_id)
            assert isinstance(found, Tombstone if is_erased else StoredDialog)


async def test_a_restore_is_refused_without_the_ledger_of_any_process(settings: Settings, tmp_path: Path) -> None:
    async with nodes(settings) as (one, other):
        await keep(other, "d-1")
        made = await backup.back_up(one, tmp_path / "backups", datetime(2026, 1, 1, tzinfo=UTC))
    (settings.keys_dir / SECOND).unlink()

    with pytest.raises(BadKeys, match=r"erasures-2\.ledger is missing"):
        backup.restore(tmp_path / "backups", made.name, backend_of("", tmp_path / "new"), settings.keys_dir)

    assert not (tmp_path / "new").exists()


async def test_a_retired_notice_stays_retired_whichever_process_retired_it_first(
    settings: Settings, tmp_path: Path
) -> None:
    """One notice took another's place and was retired itself, by another process, whose clock is behind."""
    async with open_service(settings):
        pass
    older = await older_copy(settings, tmp_path / "older")
    async with nodes(settings) as (one, other):
        await one.offer.add(CATALOGUE.wordings)
        await one.store.notices.retire(default_notice()[0].id, at=2_000_000)
        await other.offer.add([msgspec.structs.replace(it, id="n-3") for it in CATALOGUE.wordings])
        await other.store.notices.retire("n-1", at=1_000_000)

    async with open_service(older) as service:
        assert {it.id for it in await service.store.notices.all() if it.retired_at is None} == {"n-3"}
