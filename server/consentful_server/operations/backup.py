"""Backups of a running service: the data without keys, and the keys apart, so that erasures reach into backups.

    DIR/data/20260131T120000Z.db     everything but the dialogs' keys; it opens nothing and names no customer by itself
    DIR/keys/20260131T120000Z/       the dialogs' keys, pseudonyms and receipts, the roots with their master keys, the
                                     erasure ledgers

The data may be kept for years; a keys folder lives for one epoch. Each backup deletes the keys folders that hold a
destroyed master, so what was erased in an ended epoch opens from no combination of copies.

Files are written in the order snapshot, ledgers, roots, so a keys folder that has all roots is complete. A backup that
was interrupted lacks at least one of them, and `restore` refuses it.

Races, and the line that closes each:

(R1) An epoch begins or ends during a backup: the masters are read before and after the snapshot. Whichever epoch a key
     in the snapshot belongs to, its master is among them.
(R2) An epoch ends during a backup: its keys folder has a destroyed master then, so it is deleted at once, and the
     backup is made again. Folders of earlier backups are deleted only when one stands that opens.
(R3) A dialog is erased during a backup: the snapshot may still have it. Its id is in a ledger, which is read after
     the snapshot, so a restore erases it again.
(R4) Something is created where a restore puts a file: every file is created exclusively, and nothing is overwritten.
"""

from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import BadBackup, BadKeys
from ..keys import roots, signing
from ..keys.files import destroy_file, sync_folder, write_new
from ..keys.wrapping import PLAIN, Wrapping
from ..privacy.ledger import NAME as LEDGER
from ..privacy.ledger import Ledger, Ledgers, number_of
from ..service import Service
from ..stores.store import Backend, Contents

_KEYS: Final = "dialog_keys.db"
_ATTEMPTS: Final = 3


class Made(NamedTuple):
    """A backup's name, and the names of earlier ones whose keys were deleted because their epoch has ended."""

    name: str
    pruned: list[str]


async def back_up(service: Service, folder: Path, at: datetime) -> Made:
    """Copy the data and the keys as of one moment; delete the keys folders of ended epochs.

    The copy opens: the epochs of its keys have not ended.

    Raises:
        BadBackup: If a backup with this second exists, it cannot be written, or epochs end faster than it is made.
    """
    name = f"{at:%Y%m%dT%H%M%SZ}"
    data, keys = folder / "data" / f"{name}.db", folder / "keys" / name
    if data.exists() or keys.exists():
        raise BadBackup(f"{data} or {keys} already exists; nothing was changed")
    for _ in range(_ATTEMPTS):
        await _copy(service, data, keys)
        if not roots.epochs(keys).keys() & await _ended(service):  # (R2)
            return Made(name, await prune(service, folder))
        _delete(keys)
        data.unlink()
    raise BadBackup("an epoch of the master key ended during each attempt; run the backup again; nothing was kept")


async def _copy(service: Service, data: Path, keys: Path) -> None:
    """Write one copy, durably.

    Raises:
        BadBackup: If it cannot be written; what was written is not deleted, so that the disk can be looked at.
    """
    try:
        await _write_copy(service, data, keys)
    except OSError as error:
        raise BadBackup(
            f"cannot write {error.filename or data} ({error.strerror}); the backup {keys.name} is incomplete: "
            "delete it, and run the backup again"
        ) from None


async def _write_copy(service: Service, data: Path, keys: Path) -> None:
    for path in (data.parent, keys):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys_dir = service.settings.keys_dir
    before = _roots(keys_dir)  # (R1)
    await service.store.snapshot(data, keys / _KEYS)
    for file, content in (before | _roots(keys_dir)).items():  # (R1, R3) the later ledger replaces the earlier one
        write_new(keys / file, content)
    for path in (keys, keys.parent, data.parent):
        sync_folder(path)


async def prune(service: Service, folder: Path) -> list[str]:
    """Delete the keys folders that hold a destroyed master; return their names."""
    ended = await _ended(service)
    old = [keys for keys in sorted((folder / "keys").iterdir()) if ended & roots.epochs(keys).keys()]
    for keys in old:
        _delete(keys)
    return [keys.name for keys in old]


def _delete(keys: Path) -> None:
    """Destroy a folder of keys: the wrapped keys beside a destroyed master are of no use, and secrets all the same."""
    for path in list(keys.iterdir()):
        destroy_file(path)
    keys.rmdir()


async def _ended(service: Service) -> set[int]:
    """Return the epochs whose masters are destroyed."""
    return {epoch.number for epoch in await service.store.epochs.all() if epoch.destroyed_at is not None}


def restore(folder: Path, name: str, backend: Backend, keys_dir: Path, wrapping: Wrapping = PLAIN) -> bool:
    """Restore a backup; return whether the ledgers were there, so that they know what was erased since.

    Keys that exist already stay. So do their ledgers; the first one gets the entries of the backup's that they lack.

    Raises:
        BadBackup: If the backup does not exist, a database or files of one exist, or the folder holds other keys;
            nothing is overwritten.
        BadKeys: If the backup's keys do not match its data, or keys exist without their ledger.
        BadDatabase: If its data cannot be read.
    """
    data, keys = folder / "data" / f"{name}.db", folder / "keys" / name
    if not all(path.is_file() for path in (data, keys / _KEYS, keys / LEDGER)):
        raise BadBackup(f"{folder} has no backup {name} with both its data and its keys; nothing was changed")
    if found := backend.in_the_way():
        names = ", ".join(found)
        raise BadBackup(
            f"{names} already exists; move it away, or name another --data-dir or --database; nothing was changed"
        )
    _check(backend.contents(data), keys, keys_dir, wrapping)
    missing = [path.name for path in Ledgers(keys, {}).paths if not (keys_dir / path.name).exists()]
    if roots.exist(keys_dir) and missing:
        raise BadKeys(
            f"{keys_dir / missing[0]} is missing, so what was erased since the backup would come back; put its newest "
            f"copy there, or, if there is none, the one in {keys}, and repeat the erasures; nothing was changed"
        )
    try:
        keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file, content in _roots(keys).items():
            # A replaced signing key stays destroyed, and a ledger stays as it is, but for the entries added below.
            if not signing.is_retired(keys_dir / file) and not (number_of(file) and not missing):
                write_new(keys_dir / file, content)  # (R4)
        sync_folder(keys_dir)
        _add_missing(Ledgers(keys, {}), Ledgers(keys_dir, {}), Ledger(keys_dir / LEDGER))
        backend.restore(data, keys / _KEYS)
    except OSError as error:
        raise BadBackup(
            f"cannot write {error.filename} ({error.strerror}); nothing was overwritten; mend that, and restore again"
        ) from None
    return not missing


def _add_missing(copied: Ledgers, present: Ledgers, ledger: Ledger) -> None:
    """Append the entries that only the backup's ledgers have, durably: the present ones may be the older."""
    known = set(present)
    ledger.open()
    for entry in copied:
        if entry not in known:
            ledger.add(entry)
    ledger.sync()
    ledger.close()


def _check(says: Contents, keys: Path, beside: Path, wrapping: Wrapping) -> None:
    """Check that the keys match the data, and the keys that exist in the target folder, before anything is written."""
    copied = roots.load(keys, wrapping)
    roots.check(copied, says.facts[roots.DEPLOYMENT], roots.stated(says.facts, says.emptied, copied))
    for name, content in _roots(keys).items():
        other = beside / name
        if not number_of(name) and other.exists() and other.read_bytes() != content:
            raise BadBackup(f"{other} is the key of another deployment; name another --keys-dir; nothing was changed")


def _roots(folder: Path) -> dict[str, bytes]:
    """Return the ledgers and the roots by file name, in the order in which a backup writes them.

    The keys that `restore` cannot do without come last: a folder that has them has everything else, too.
    """
    names = [*Ledgers(folder, {}).paths, *folder.glob("*.jwk"), *folder.glob("*.key"), *folder.glob("*.pem")]
    return {path.name: path.read_bytes() for path in names}
