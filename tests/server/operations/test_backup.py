"""Backups: restored whole, and never a way round an erasure (GDPR art. 17, 32)."""

import errno
import itertools
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consentful.wire import Consent
from consentful_server.access_log.chain import Actor
from consentful_server.archive.query import Filter
from consentful_server.archive.store import StoredDialog, Tombstone
from consentful_server.auth.read_scope import ReadScope
from consentful_server.dialogs.dialog import Granted
from consentful_server.errors import BadBackup, BadDatabase, BadKeys
from consentful_server.keys.deployment import replace_signing_key
from consentful_server.keys.files import write_new
from consentful_server.keys.masters import FileMasters
from consentful_server.keys.vault import Unopenable, Vault
from consentful_server.operations import backup, integrity
from consentful_server.privacy.ledger import NAME as LEDGER
from consentful_server.privacy.ledger import ErasedEntry, Ledger
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.open import backend_of
from consentful_server.stores.sqlite.connection import connect
from sealed import CATALOGUE, spoken

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = datetime(2026, 1, 2, tzinfo=UTC)


def place(home: Path) -> Settings:
    return Settings(data_dir=home / "data", keys_dir=home / "keys")


def put_back(folder: Path, name: str, place: Settings) -> None:
    backup.restore(folder, name, backend_of(place.database, place.data_dir), place.keys_dir)


async def replace_key(service: Service) -> None:
    await replace_signing_key(service.store.facts, service.settings.keys_dir, service.deployment, service.signer)


async def keep(service: Service, *dialog_ids: str) -> None:
    for dialog_id in dialog_ids:
        dialog = spoken(dialog_id)
        granted = dialog.decide(Consent(True, 2), CATALOGUE)
        assert isinstance(granted, Granted)
        await service.archive.keep(dialog, granted, owner="shop", channel="websocket")


async def test_a_backup_is_restored_whole_elsewhere_and_proves_itself(tmp_path: Path) -> None:
    async with open_service(place(tmp_path / "here")) as service:
        await keep(service, "d-1", "d-2")
        await service.archive.erase("d-2", "requested")
        made = await backup.back_up(service, tmp_path / "copies", FIRST)

    put_back(tmp_path / "copies", made.name, place(tmp_path / "there"))

    async with open_service(place(tmp_path / "there")) as service:
        assert await integrity.prove(service) == integrity.Proof(whole=1, damaged=0)
        assert isinstance(await service.store.dialogs.find("d-2"), Tombstone)
        assert (await service.access_log.check()).fault is None
        await keep(service, "d-3")
        found = await service.store.dialogs.find("d-3")
        assert isinstance(found, StoredDialog)
        assert found.number > 2


async def test_a_copy_of_the_data_holds_no_key(tmp_path: Path) -> None:
    async with open_service(place(tmp_path)) as service:
        await keep(service, "d-1")
        kept = await service.store.dialogs.find("d-1")
        await backup.back_up(service, tmp_path / "copies", FIRST)

    assert isinstance(kept, StoredDialog)
    copied = list((tmp_path / "copies" / "data").iterdir())
    assert len(copied) == 1
    assert kept.texts in copied[0].read_bytes()
    assert kept.wrapped not in copied[0].read_bytes()


async def test_what_was_erased_since_is_erased_again_by_a_restore_beside_the_newest_keys(tmp_path: Path) -> None:
    here = place(tmp_path)
    async with open_service(here) as service:
        await keep(service, "d-1", "d-2")
        made = await backup.back_up(service, tmp_path / "copies", FIRST)
        await service.archive.erase("d-1", "withdrawn")
    shutil.rmtree(here.data_dir)

    put_back(tmp_path / "copies", made.name, here)

    async with open_service(here) as service:
        assert isinstance(await service.store.dialogs.find("d-1"), Tombstone)
        assert await integrity.prove(service) == integrity.Proof(whole=1, damaged=0)


async def test_a_restore_overwrites_nothing(tmp_path: Path) -> None:
    async with open_service(place(tmp_path)) as service:
        await keep(service, "d-1")
        made = await backup.back_up(service, tmp_path / "copies", FIRST)
        with pytest.raises(BadBackup, match="already"):
            await backup.back_up(service, tmp_path / "copies", FIRST)

    with pytest.raises(BadBackup, match="already"):
        put_back(tmp_path / "copies", made.name, place(tmp_path))
    with pytest.raises(BadBackup, match="no backup"):
        put_back(tmp_path / "copies", "another", place(tmp_path / "there"))


@pytest.mark.parametrize("home", ["copies", "copies/data", "copies/keys/there"])
async def test_nothing_is_restored_into_the_backups(tmp_path: Path, home: str) -> None:
    async with open_service(place(tmp_path)) as service:
        await keep(service, "d-1")
        made = await backup.back_up(service, tmp_path / "copies", FIRST)
    before = sorted((tmp_path / "copies").rglob("*"))

    with pytest.raises(BadBackup, match=r"overlaps.*nothing was changed"):
        put_back(tmp_path / "copies", made.name, place(tmp_path / home))

    assert sorted((tmp_path / "copies").rglob("*")) == before


class CrashError(Exception):
    """The process dies here."""


async def test_a_backup_that_was_interrupted_anywhere_is_not_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(place(tmp_path / "here")) as service:
        await keep(service, "d-1")
        await replace_key(service)
        made = await backup.back_up(service, tmp_path / "copies", FIRST)
        files = len(list((tmp_path / "copies" / "keys" / made.name).iterdir())) - 1  # but for the dialogs' keys
        for written in range(files):
            copies, left = tmp_path / f"copies-{written}", iter(range(written))

            def write(path: Path, content: bytes, left: Iterator[int] = left) -> None:
                if next(left, None) is None:
                    raise CrashError
                write_new(path, content)

            with monkeypatch.context() as patch:
                patch.setattr(backup, "write_new", write)
                with pytest.raises(CrashError):
                    await backup.back_up(service, copies, FIRST)
            with pytest.raises((BadBackup, BadKeys)):
                put_back(copies, made.name, place(tmp_path / f"there-{written}"))

    assert files >= 6
    put_back(tmp_path / "copies", made.name, place(tmp_path / "there"))


async def test_a_restore_puts_nothing_in_place_where_the_keys_do_not_fit(tmp_path: Path) -> None:
    for home in ("here", "elsewhere"):
        async with open_service(place(tmp_path / home)) as service:
            made = await backup.back_up(service, tmp_path / home / "copies", FIRST)
    copies, there = tmp_path / "here" / "copies", place(tmp_path / "there")
    beside = Settings(data_dir=there.data_dir, keys_dir=tmp_path / "elsewhere" / "keys")

    with pytest.raises(BadBackup, match="another deployment"):
        put_back(copies, made.name, beside)
    shutil.rmtree(copies / "keys" / made.name)
    shutil.copytree(tmp_path / "elsewhere" / "copies" / "keys" / made.name, copies / "keys" / made.name)
    with pytest.raises(BadKeys, match="not the one that this database was written with"):
        put_back(copies, made.name, there)
    (copies / "data" / f"{made.name}.db").write_bytes(b"nothing that SQLite knows" * 100)
    with pytest.raises(BadDatabase, match="not a data backup"):
        put_back(copies, made.name, there)

    assert not there.data_dir.exists()
    assert not there.keys_dir.exists()


async def test_a_restore_beside_the_keys_of_a_later_epoch_opens_and_rotates_on(tmp_path: Path) -> None:
    here = place(tmp_path)
    async with open_service(here) as service:
        await keep(service, "d-1", "d-2")
        made = await backup.back_up(service, tmp_path / "copies", FIRST)
        await service.archive.erase("d-2", "withdrawn")
        assert await service.rotation.turn()
        later = FileMasters(here.keys_dir).all()
    shutil.rmtree(here.data_dir)

    put_back(tmp_path / "copies", made.name, here)

    async with open_service(here) as service:
        assert await integrity.prove(service) == integrity.Proof(whole=1, damaged=0)
        assert isinstance(await service.store.dialogs.find("d-2"), Tombstone)
        assert await service.rotation.turn()
        assert FileMasters(here.keys_dir).all() == later
        assert await integrity.prove(service) == integrity.Proof(whole=1, damaged=0)


async def test_a_restore_does_not_bring_back_a_signing_key_that_was_replaced(tmp_path: Path) -> None:
    here = place(tmp_path)
    async with open_service(here) as service:
        await keep(service, "d-1")
        made = await backup.back_up(service, tmp_path / "copies", FIRST)
        await replace_key(service)
        kid = service.signer.jwk["kid"]
        replaced = await backup.back_up(service, tmp_path / "copies", SECOND)
    shutil.rmtree(here.data_dir)

    put_back(tmp_path / "copies", made.name, here)

    assert not (here.keys_dir / "signing.pem").exists()
    put_back(tmp_path / "copies", replaced.name, place(tmp_path / "there"))
    for home in (here, place(tmp_path / "there")):
        async with open_service(home) as service:
            assert service.signer.jwk["kid"] == kid
            assert len(service.signer.jwks) == 2


async def test_after_the_epoch_nothing_that_was_erased_opens_from_any_combination_of_copies(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    async with open_service(place(tmp_path)) as service:
        await keep(service, "d-1", "d-2")
        await backup.back_up(service, copies, FIRST)
        deployment = (await service.store.facts.all())["deployment"]
        wrapped = [key.wrapped for key in await service.store.epochs.keys_before(9, 0, 9) if key.dialog_id == "d-1"]
        opens = _opening(wrapped, deployment, copies, tmp_path)
        await service.archive.erase("d-1", "requested")
        assert await service.rotation.turn()
        made = await backup.back_up(service, copies, SECOND)

    assert opens == ["20260101T000000Z", "here"]
    assert made.pruned == ["20260101T000000Z"]
    later: list[bytes] = []
    for path in copies.rglob("dialog_keys.db"):
        with closing(connect(path)) as db:
            later += [row[0] for row in db.execute("SELECT wrapped FROM dialog_keys")]
    assert len(later) == 2
    assert not _opening([*wrapped, *later], deployment, copies, tmp_path)


def _opening(wrapped: list[bytes], deployment: bytes, copies: Path, here: Path) -> list[str]:
    """Return which folders of keys open one of these copies of a key."""
    folders = {path.name: path for path in (copies / "keys").iterdir()} | {"here": here / "keys"}
    opening: set[str] = set()
    for (name, folder), copy in itertools.product(folders.items(), wrapped):
        try:
            Vault(deployment, FileMasters(folder).all()).unwrap(copy, "d-1")
            opening.add(name)
        except Unopenable:
            pass
    return sorted(opening)


@pytest.mark.parametrize(
    "left",
    [
        f"{name}{suffix}"
        for name in ("consentful.db", ".consentful.db.restoring")
        for suffix in ("", "-wal", "-shm", "-journal")
    ],
)
async def test_a_restore_beside_anything_of_an_earlier_database_is_refused_and_touches_nothing(
    tmp_path: Path, left: str
) -> None:
    async with open_service(place(tmp_path / "here")) as service:
        await keep(service, "d-1")
        made = await backup.back_up(service, tmp_path / "copies", FIRST)
    there = place(tmp_path / "there")
    there.data_dir.mkdir(parents=True)
    (there.data_dir / left).write_bytes(b"acknowledged")

    with pytest.raises(BadBackup, match=rf"{re.escape(left)} already exists; move it away"):
        put_back(tmp_path / "copies", made.name, there)

    assert [(path.name, path.read_bytes()) for path in there.data_dir.iterdir()] == [(left, b"acknowledged")]
    assert not there.keys_dir.exists()


async def test_a_restore_uses_no_log_that_lies_beside_the_backup_and_changes_none_of_its_files(tmp_path: Path) -> None:
    async with open_service(place(tmp_path / "here")) as service:
        await keep(service, "d-1")
        made = await backup.back_up(service, tmp_path / "copies", FIRST)
        log = (tmp_path / "here" / "data" / "consentful.db-wal").read_bytes()
    for name in (f"data/{made.name}.db-wal", f"keys/{made.name}/dialog_keys.db-wal"):
        (tmp_path / "copies" / name).write_bytes(log)
    before = {path: path.read_bytes() for path in (tmp_path / "copies").rglob("*") if path.is_file()}

    put_back(tmp_path / "copies", made.name, place(tmp_path / "there"))

    assert {path: path.read_bytes() for path in (tmp_path / "copies").rglob("*") if path.is_file()} == before
    async with open_service(place(tmp_path / "there")) as service:
        assert await integrity.prove(service) == integrity.Proof(whole=1, damaged=0)


async def test_a_restore_onto_a_disk_that_fails_leaves_no_half_database_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(place(tmp_path / "here")) as service:
        await keep(service, "d-1")
        made = await backup.back_up(service, tmp_path / "copies", FIRST)
    there = place(tmp_path / "there")

    def full(_: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    with monkeypatch.context() as failing:
        failing.setattr(shutil, "copyfile", full)
        with pytest.raises(BadBackup, match=r"No space left.*restore again"):
            put_back(tmp_path / "copies", made.name, there)

    assert not list(there.data_dir.iterdir())
    put_back(tmp_path / "copies", made.name, there)


@pytest.mark.parametrize("ends", [1, 2])
async def test_a_backup_during_which_epochs_end_is_made_again_until_it_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: int
) -> None:
    copies, left = tmp_path / "copies", iter(range(ends))
    async with open_service(place(tmp_path / "here")) as service:
        await keep(service, "d-1")
        before = await backup.back_up(service, copies, FIRST)
        real = service.store.snapshot

        async def snapshot(data: Path, keys: Path) -> None:
            await real(data, keys)
            if next(left, None) is not None:
                assert (copies / "keys" / before.name).exists()  # the last that opens is kept until another stands
                assert await service.rotation.turn()

        monkeypatch.setattr(service.store, "snapshot", snapshot)
        made = await backup.back_up(service, copies, SECOND)

    assert made == (f"{SECOND:%Y%m%dT%H%M%SZ}", [before.name], [])
    put_back(copies, made.name, place(tmp_path / "there"))
    async with open_service(place(tmp_path / "there")) as service:
        assert await integrity.prove(service) == integrity.Proof(whole=1, damaged=0)


async def test_a_backup_that_epochs_outrun_fails_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(place(tmp_path / "here")) as service:
        await keep(service, "d-1")
        real = service.store.snapshot

        async def snapshot(data: Path, keys: Path) -> None:
            await real(data, keys)
            assert await service.rotation.turn()

        monkeypatch.setattr(service.store, "snapshot", snapshot)
        with pytest.raises(BadBackup, match="run the backup again"):
            await backup.back_up(service, tmp_path / "copies", FIRST)

    assert not [path for path in (tmp_path / "copies").rglob("*") if path.is_file()]


async def test_a_backup_onto_a_full_disk_fails_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, _: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    async with open_service(place(tmp_path / "here")) as service:
        monkeypatch.setattr(backup, "write_new", full)
        with pytest.raises(BadBackup, match=r"No space left.*nothing was kept.*run the backup again"):
            await backup.back_up(service, tmp_path / "copies", FIRST)


async def test_a_copy_of_the_data_names_no_customer_and_a_restore_names_them_again(tmp_path: Path) -> None:
    """Kept for years, it must not tell what an erased customer said, or that there was one (GDPR art. 17)."""
    async with open_service(place(tmp_path / "here")) as service:
        await keep(service, "d-1")
        kept = await service.store.dialogs.find("d-1")
        assert isinstance(kept, StoredDialog)
        customer = kept.record.customer
        found = await messages_of(service, customer)
        made = await backup.back_up(service, tmp_path / "copies", FIRST)

    copied = tmp_path / "copies" / "data" / f"{made.name}.db"
    assert customer.encode() not in copied.read_bytes()
    assert kept.receipt.encode() not in copied.read_bytes()
    with closing(connect(copied)) as db:
        assert db.execute("SELECT DISTINCT customer FROM messages").fetchall() == [(0,)]
    put_back(tmp_path / "copies", made.name, place(tmp_path / "there"))
    async with open_service(place(tmp_path / "there")) as service:
        assert await service.store.dialogs.find("d-1") == kept
        assert await messages_of(service, customer) == found == 2


async def messages_of(service: Service, customer: str) -> int:
    scope = ReadScope(by=Actor("ann"))
    return len(
        (await service.pages.messages(Filter(customer=customer), scope, order="newest", limit=10, view=list)).items
    )


async def test_a_restore_beside_keys_without_their_ledger_is_refused(tmp_path: Path) -> None:
    here = place(tmp_path)
    async with open_service(here) as service:
        await keep(service, "d-1")
        made = await backup.back_up(service, tmp_path / "copies", FIRST)
        await service.archive.erase("d-1", "withdrawn")
    shutil.rmtree(here.data_dir)
    (here.keys_dir / LEDGER).unlink()

    with pytest.raises(BadKeys, match=r"erasures\.ledger is missing.*come back.*repeat the erasures"):
        put_back(tmp_path / "copies", made.name, here)

    assert not here.data_dir.exists()
    assert not (here.keys_dir / LEDGER).exists()


async def test_a_restore_beside_keys_older_than_the_data_keeps_what_either_ledger_says(tmp_path: Path) -> None:
    here, copies = place(tmp_path), tmp_path / "copies"
    async with open_service(here) as service:
        await keep(service, "d-1", "d-2", "d-3")
        older = await backup.back_up(service, copies, FIRST)
        await service.archive.erase("d-1", "withdrawn")
        newer = await backup.back_up(service, copies, SECOND)
    shutil.rmtree(here.data_dir)
    shutil.rmtree(here.keys_dir)
    shutil.copytree(copies / "keys" / older.name, here.keys_dir)
    (here.keys_dir / "dialog_keys.db").unlink()

    assert backup.restore(copies, newer.name, backend_of("", here.data_dir), here.keys_dir)

    assert {it.tombstone.dialog_id for it in Ledger(here.keys_dir / LEDGER) if isinstance(it, ErasedEntry)} == {"d-1"}
    async with open_service(here) as service:
        assert isinstance(await service.store.dialogs.find("d-1"), Tombstone)
        assert await integrity.prove(service) == integrity.Proof(whole=2, damaged=0)
