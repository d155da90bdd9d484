"""Backups of a running service: the data without keys, and the keys apart, so that erasing reaches into both.

    DIR/data/20260131T120000Z.db     everything but the dialogs' keys; opens nothing by itself
    DIR/keys/20260131T120000Z/       the dialogs' keys, the roots with their masters, the ledger of erasures

Copies of keys live for one epoch: a backup destroys those that hold a master which is destroyed here, and then the data
that were copied with them open nowhere.
"""

from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from ..archive.store import StoredDialog
from ..errors import BadBackup, Damaged
from ..keys import roots, signing
from ..keys.files import destroy_file, sync_folder, write_new
from ..keys.masters import FileMasters
from ..privacy.ledger import NAME as LEDGER
from ..service import Service
from ..stores.store import Backend, Contents

_KEYS: Final = "dialog_keys.db"
_AT_ONCE: Final = 1_000


class Made(NamedTuple):
    """A backup: its name, and the copies of keys that were destroyed because their epoch has ended."""

    name: str
    pruned: list[str]


class Proof(NamedTuple):
    """What a restored service holds: dialogs that open to the last word, and those that do not."""

    opened: int
    damaged: int


async def back_up(service: Service, folder: Path, at: datetime) -> Made:
    """Copy the data and the keys, as they are at one moment, and destroy copies of keys from ended epochs.

    Raises:
        BadBackup: If there is a backup of this second already.
    """
    name = f"{at:%Y%m%dT%H%M%SZ}"
    data, keys = folder / "data" / f"{name}.db", folder / "keys" / name
    if data.exists() or keys.exists():
        raise BadBackup(f"{data} is there already; nothing was changed")
    for path in (data.parent, keys):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys_dir = service.settings.keys_dir
    before = _roots(keys_dir)  # an epoch may end meanwhile: its master is looked for before and after
    await service.store.snapshot(data, keys / _KEYS)
    for file, content in (before | _roots(keys_dir)).items():
        write_new(keys / file, content)
    for path in (keys, keys.parent, data.parent):
        sync_folder(path)
    return Made(name, await prune(service, folder))


async def prune(service: Service, folder: Path) -> list[str]:
    """Destroy the copies of keys that hold a master which is destroyed here; return their names."""
    ended = {epoch.number for epoch in await service.store.epochs.all() if epoch.destroyed_at is not None}
    old = [keys for keys in sorted((folder / "keys").iterdir()) if ended & set(FileMasters(keys).all())]
    for keys in old:
        for path in list(keys.iterdir()):
            destroy_file(path)
        keys.rmdir()
    return [keys.name for keys in old]


def restore(folder: Path, name: str, backend: Backend, keys_dir: Path) -> None:
    """Put a backup in its place. Keys that are there already stay, with the ledger of what was erased since.

    Raises:
        BadBackup: If there is no such backup, a database is there already, or other keys; nothing is overwritten.
        BadKeys: If the backup's keys are not those of its data.
        BadDatabase: If its data cannot be read.
    """
    data, keys = folder / "data" / f"{name}.db", folder / "keys" / name
    if not data.is_file() or not (keys / _KEYS).is_file():
        raise BadBackup(f"{folder} has no backup {name} with both its data and its keys; nothing was changed")
    if backend.exists():
        raise BadBackup(f"{backend.name} is there already; name another --data-dir; nothing was changed")
    _check(backend.contents(data), keys, keys_dir)
    keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file, content in _roots(keys).items():
        if not signing.is_retired(keys_dir / file):
            write_new(keys_dir / file, content)
    sync_folder(keys_dir)
    backend.restore(data, keys / _KEYS)


def _check(says: Contents, keys: Path, beside: Path) -> None:
    """See that the keys fit the data, and those that are where they go to, before anything is put there."""
    copied = roots.load(keys)
    roots.check(copied, says.facts[roots.DEPLOYMENT], roots.stated(says.facts, says.emptied, copied))
    for name, content in _roots(keys).items():
        other = beside / name
        if name != LEDGER and other.exists() and other.read_bytes() != content:
            raise BadBackup(f"{other} is the key of another deployment; name another --keys-dir; nothing was changed")


async def prove(service: Service) -> Proof:
    """Open every dialog, and hold its words against the digest that was made of them."""
    opened = damaged = passed = 0
    every = (await service.store.epochs.all())[-1].number + 1
    while keys := await service.store.epochs.keys_before(every, passed, _AT_ONCE):
        for key in keys:
            if await _is_whole(service, key.dialog_id):
                opened += 1
            else:
                damaged += 1
        passed = keys[-1].dialog
    return Proof(opened, damaged)


async def _is_whole(service: Service, dialog_id: str) -> bool:
    found = await service.archive.find(dialog_id)
    try:
        return not isinstance(found, StoredDialog) or service.archive.content_digest(found) == found.content
    except Damaged:
        return False


def _roots(folder: Path) -> dict[str, bytes]:
    """Return the roots and the ledger by the names of their files."""
    names = [*folder.glob("*.key"), *folder.glob("*.pem"), *folder.glob("*.jwk"), *folder.glob(LEDGER)]
    return {path.name: path.read_bytes() for path in names}
