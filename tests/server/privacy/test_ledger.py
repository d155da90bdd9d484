"""The ledger of erasures: what was to be erased stays erased, through crashes and restored backups (art. 17)."""

import os
import shutil
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from consentful.wire import Consent
from consentful_server.access_log.chain import OPERATOR, Actor
from consentful_server.archive.query import Filter
from consentful_server.archive.store import Reason, Retraction, StoredDialog, Tombstone
from consentful_server.auth.read_scope import ReadScope
from consentful_server.consent.notices import Wording, default_notice
from consentful_server.dialogs.dialog import Granted
from consentful_server.errors import BadDatabase, BadKeys, Conflict, Damaged, Erased, StorageFailed, Unauthenticated
from consentful_server.operations.rebuilding import rebuild_ledger
from consentful_server.privacy import ledger as ledger_module
from consentful_server.privacy.ledger import (
    NAME,
    Entry,
    ErasedEntry,
    Ledger,
    NarrowedEntry,
    NumberedEntry,
    RetiredEntry,
    RetractedEntry,
    RevokedEntry,
)
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.sqlite.connection import connect
from sealed import CATALOGUE, spoken


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")


def entry(dialog_id: str, reason: Reason) -> ErasedEntry:
    return ErasedEntry(Tombstone(dialog_id=dialog_id, owner="shop", reason=reason, erased_at=1, number=1), 1)


async def keep(service: Service, dialog_id: str, *purposes: str) -> None:
    dialog = spoken(dialog_id)
    granted = dialog.decide(Consent(True, 2, purposes=list(purposes) or None), CATALOGUE)
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
    ledger.add(entry("d-1", "requested"))
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

    assert not [it for it in Ledger(settings.keys_dir / NAME) if isinstance(it, ErasedEntry)]


def test_a_line_that_a_crash_cut_short_is_passed_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / NAME)
    ledger.create()
    ledger.open()
    ledger.add(entry("d-1", "withdrawn"))
    ledger.close()
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"dialog_id":"d-2","rea')

    assert list(Ledger(tmp_path / NAME)) == [entry("d-1", "withdrawn")]


def test_a_new_ledger_is_a_durable_file_before_anything_is_erased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[Path, bool]] = []

    def sync(folder: Path) -> None:
        synced.append((folder, (folder / NAME).exists()))

    monkeypatch.setattr(ledger_module, "sync_folder", sync)

    Ledger(tmp_path / NAME).create()

    assert synced == [(tmp_path, True)]


def test_a_ledger_that_cannot_be_written_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()

    with pytest.raises(BadKeys, match="let the server's user write to --keys-dir"):
        Ledger(tmp_path / NAME).open()


def test_entries_of_every_kind_are_read_as_they_were_written(tmp_path: Path) -> None:
    entries = [
        entry("d-1", "withdrawn"),
        RetractedEntry(Retraction(dialog_id="d-2", owner="shop", mark=b"\n}\n\xff", retracted_at=2)),
        RevokedEntry("k-1", 3),
        NarrowedEntry("d-3", ("improve",)),
        RetiredEntry("n-0", 4, tuple(default_notice())),
        NumberedEntry(1_000),
    ]
    ledger = Ledger(tmp_path / NAME)
    ledger.create()
    ledger.open()
    for it in entries:
        ledger.add(it)
    ledger.close()

    assert list(Ledger(tmp_path / NAME)) == entries


def test_erasures_that_an_earlier_release_recorded_are_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b'\n{"dialog_id":"d-1","reason":"withdrawn","at":7}\n')

    assert list(Ledger(tmp_path / NAME)) == [
        ErasedEntry(Tombstone(dialog_id="d-1", owner="", reason="withdrawn", erased_at=7, number=0))
    ]


async def test_a_missing_ledger_is_refused_as_a_missing_key_and_not_made_anew(settings: Settings) -> None:
    async with open_service(settings) as service:
        await keep(service, "d-1")
    (settings.keys_dir / NAME).unlink()

    with pytest.raises(BadKeys, match=r"erasures\.ledger is missing.*rebuild-ledger"):
        async with open_service(settings):
            pass

    assert not (settings.keys_dir / NAME).exists()


async def test_a_ledger_older_than_the_data_is_refused(settings: Settings) -> None:
    async with open_service(settings) as service:
        await keep(service, "d-1")
        await keep(service, "d-2")
        await service.archive.erase("d-1", "withdrawn")
        older = (settings.keys_dir / NAME).read_bytes()
        await service.archive.erase("d-2", "withdrawn")
    (settings.keys_dir / NAME).write_bytes(older)

    with pytest.raises(BadKeys, match=r"older copy.*rebuild-ledger"):
        async with open_service(settings):
            pass


@pytest.mark.parametrize("lost", ["all of it", "its end"])
async def test_a_ledger_is_rebuilt_from_what_the_database_knows_on_request(settings: Settings, lost: str) -> None:
    path = settings.keys_dir / NAME
    async with open_service(settings) as service:
        for dialog_id in ("d-1", "d-2"):
            await keep(service, dialog_id)
        await service.archive.erase("d-1", "withdrawn")
        older = path.read_bytes()
        await service.archive.erase("d-2", "requested")
        await service.archive.decline("d-3", "c-1", owner="shop", retract=True)
        await revoke(service, "bot")
        await service.offer.add(CATALOGUE.wordings)
        await service.offer.retire(default_notice()[0].id, by=OPERATOR)
        whole = erasures_and_others(settings)
    if lost == "all of it":
        path.unlink()
    else:
        path.write_bytes(older)

    made = await rebuild_ledger(settings)

    assert made == ((2 if lost == "all of it" else 1), 1, 1, 1)
    assert erasures_and_others(settings) == whole
    async with open_service(settings):
        pass
    assert await rebuild_ledger(settings) == (0, 0, 0, 0)


async def test_a_rebuilding_that_was_interrupted_is_refused_and_can_be_repeated(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(settings) as service:
        for dialog_id in ("d-1", "d-2"):
            await keep(service, dialog_id)
            await service.archive.erase(dialog_id, "withdrawn")
    (settings.keys_dir / NAME).unlink()
    real = Ledger.add

    def add(ledger: Ledger, it: Entry) -> None:
        if isinstance(it, ErasedEntry) and it.tombstone.dialog_id == "d-2":
            raise OSError(28, "No space left on device")
        real(ledger, it)

    with monkeypatch.context() as failing:
        failing.setattr(Ledger, "add", add)
        with pytest.raises(BadKeys, match=r"No space.*run this again"):
            await rebuild_ledger(settings)
    with pytest.raises(BadKeys, match="older copy"):
        async with open_service(settings):
            pass

    assert (await rebuild_ledger(settings)).erased == 1
    async with open_service(settings):
        pass


async def test_nothing_is_rebuilt_where_there_is_no_database(settings: Settings) -> None:
    with pytest.raises(BadDatabase, match="does not exist"):
        await rebuild_ledger(settings)

    assert not settings.data_dir.exists()
    assert not settings.keys_dir.exists()


async def test_what_the_database_forgot_is_done_again_at_the_start(settings: Settings, tmp_path: Path) -> None:
    """An older copy of the database is put back: all that was taken back since stays taken back."""
    async with open_service(settings) as service:
        await keep(service, "d-1")
        key = await service.api_keys.create("bot", ["data:read"])
    shutil.copytree(settings.data_dir, tmp_path / "older")
    async with open_service(settings) as service:
        await keep(service, "d-2")
        for dialog_id in ("d-1", "d-2"):
            await service.archive.erase(dialog_id, "withdrawn")
        await service.archive.decline("d-3", "c-1", owner="shop", retract=True)
        await service.api_keys.revoke(key.split("_")[1], by=OPERATOR)
        before = {name: await service.store.dialogs.find(name) for name in ("d-1", "d-2")}
    shutil.rmtree(settings.data_dir)
    shutil.copytree(tmp_path / "older", settings.data_dir)

    async with open_service(settings) as service:
        for dialog_id in ("d-1", "d-2", "d-3"):
            with pytest.raises(Erased):
                await keep(service, dialog_id)
        with pytest.raises(Unauthenticated):
            await service.api_keys.authenticate(key)
        assert await service.store.dialogs.find("d-2") == before["d-2"]
        assert isinstance(await service.store.dialogs.find("d-1"), Tombstone)
        feed = await service.feed.read(2, 10, ReadScope(by=Actor("ann")), of_everyone=True)
        assert {it.dialog_id for it in feed.items} == {"d-1", "d-2"}  # after the places that were given out
    async with open_service(settings) as service:  # and once is enough
        assert await service.store.exports.place() == feed.place


async def test_a_narrowed_consent_stays_narrow_after_a_restore(settings: Settings, tmp_path: Path) -> None:
    async with open_service(settings) as service:
        await service.offer.add(CATALOGUE.wordings)
        for dialog_id in ("d-1", "d-2"):
            await keep(service, dialog_id)
    shutil.copytree(settings.data_dir, tmp_path / "older")
    async with open_service(settings) as service:
        await keep(service, "d-1", "research")
        narrowed = await service.store.dialogs.find("d-1")
    put_back(settings, tmp_path / "older")

    async with open_service(settings) as service:
        found = await service.store.dialogs.find("d-1")

        assert isinstance(narrowed, StoredDialog)
        assert isinstance(found, StoredDialog)
        assert (found.record, claims(service, found)) == (narrowed.record, claims(service, narrowed))
        scope = ReadScope(by=Actor("ann"), purposes=("improve",))
        page = await service.pages.dialogs(Filter(), scope, order="newest", limit=10)
        assert [it.dialog_id for it in page.items] == ["d-2"]
        read = await service.pages.dialog("d-1", ReadScope(by=Actor("ann")))
        assert [it.text for it in read.messages] == ["Hi", "Hello"]
        await keep(service, "d-1", "research")  # what the customer's replay says
        with pytest.raises(Conflict):
            await keep(service, "d-1")


async def test_a_narrowed_dialog_that_cannot_be_opened_is_read_by_nobody_after_a_restore(
    settings: Settings, tmp_path: Path
) -> None:
    async with open_service(settings) as service:
        await service.offer.add(CATALOGUE.wordings)
        await keep(service, "d-1")
    shutil.copytree(settings.data_dir, tmp_path / "older")
    async with open_service(settings) as service:
        await keep(service, "d-1", "research")
    put_back(settings, tmp_path / "older")
    with closing(connect(settings.data_dir / "consentful.db")) as db:
        db.execute("UPDATE seals SET customer = x'00'")

    async with open_service(settings) as service:
        found = await service.store.dialogs.find("d-1")
        assert isinstance(found, StoredDialog)
        assert found.record.purposes == ("research",)
        with pytest.raises(Damaged):
            await service.pages.dialog("d-1", ReadScope(by=Actor("ann")))
        await service.archive.erase("d-1", "withdrawn")


async def test_a_retired_notice_is_not_offered_again_after_a_restore(settings: Settings, tmp_path: Path) -> None:
    async with open_service(settings):
        pass
    shutil.copytree(settings.data_dir, tmp_path / "older")
    async with open_service(settings) as service:
        await service.offer.add(CATALOGUE.wordings)
        await service.offer.retire(default_notice()[0].id, by=OPERATOR)
        before = await service.store.notices.all()
        late = [msgspec.structs.replace(it, id="n-3") for it in CATALOGUE.wordings]
        await service.offer.add(late)
        await service.offer.retire("n-1", by=OPERATOR)
    put_back(settings, tmp_path / "older")

    async with open_service(settings) as service:
        known = await service.store.notices.all()

        assert service.catalogue.for_language("en").id == "n-3"
        assert {it.id for it in known if it.retired_at is None} == {"n-3"}
        assert retirements(known)[before[0].id] == retirements(before)[before[0].id]  # when it was retired
    async with open_service(settings) as service:  # and once is enough
        assert await service.store.notices.all() == known


async def test_the_last_notice_stays_on_offer_where_the_ledger_knows_no_other(settings: Settings) -> None:
    async with open_service(settings) as service:
        only = service.catalogue.for_language("en").id
    ledger = Ledger(settings.keys_dir / NAME)
    ledger.open()
    ledger.add(RetiredEntry(only, 1))
    ledger.close()

    async with open_service(settings) as service:
        assert service.catalogue.for_language("en").id == only


def retirements(wordings: list[Wording]) -> dict[str, int | None]:
    return {it.id: it.retired_at for it in wordings}


def claims(service: Service, stored: StoredDialog) -> object:
    return service.signer.verified(stored.receipt)


def put_back(settings: Settings, older: Path) -> None:
    shutil.rmtree(settings.data_dir)
    shutil.copytree(older, settings.data_dir)


async def test_numbers_go_on_after_all_that_may_have_been_given_out(settings: Settings, tmp_path: Path) -> None:
    async with open_service(settings) as service:
        await keep(service, "d-1")
    shutil.copytree(settings.data_dir, tmp_path / "older")
    async with open_service(settings) as service:
        for dialog_id in ("d-2", "d-3"):
            await keep(service, dialog_id)
        seen = await service.store.dialogs.horizon()
    shutil.rmtree(settings.data_dir)
    shutil.copytree(tmp_path / "older", settings.data_dir)

    async with open_service(settings) as service:
        await keep(service, "d-4")
        await keep(service, "d-5")
        numbers = [found.number for name in ("d-4", "d-5") if (found := await service.store.dialogs.find(name))]

    assert numbers[0] is not None
    assert numbers[0] > seen
    assert numbers[1] == numbers[0] + 1


async def test_a_number_is_not_given_out_before_the_ledger_says_so_durably(settings: Settings) -> None:
    async with open_service(settings) as service:
        for dialog_id in ("d-1", "d-2"):
            await keep(service, dialog_id)
            found = await service.store.dialogs.find(dialog_id)
            assert isinstance(found, StoredDialog)
            reached = [it.dialogs for it in Ledger(settings.keys_dir / NAME) if isinstance(it, NumberedEntry)]
            assert len(reached) == 1  # for a block of numbers
            assert found.number < reached[0]


def erasures_and_others(settings: Settings) -> set[object]:
    """Return what the ledger says, but for numbers, which are recorded a block ahead."""
    return {it for it in Ledger(settings.keys_dir / NAME) if not isinstance(it, NumberedEntry)}


async def revoke(service: Service, name: str) -> None:
    key = await service.api_keys.create(name, ["data:read"])
    await service.api_keys.revoke(key.split("_")[1], by=OPERATOR)
