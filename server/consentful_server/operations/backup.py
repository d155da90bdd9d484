"""Backups of a running service: the data without keys, and the keys apart, so that erasures reach into backups.

    DIR/data/20260131T120000Z.db     everything but the dialogs' keys; it opens nothing and names no customer by itself
    DIR/keys/20260131T120000Z/       the dialogs' keys, pseudonyms and receipts, the roots with their master keys, the
                                     erasure ledgers

A copy of the data may be kept for years; a keys folder lives for one epoch. Each backup deletes the keys folders that
hold a destroyed master, so what was erased in an ended epoch opens from no combination of copies.

A backup is written under partial names (`copies`), in the order snapshot, ledgers, roots, and gets its name at the end.
One that fails is deleted, and one that was interrupted by the next.

Races, and the line that closes each:

(R1) An epoch begins or ends during a backup: the masters are read before and after the snapshot. Whichever epoch a key
     in the snapshot belongs to, its master is among them.
(R2) An epoch ends during a backup: its keys have a destroyed master then, so it is deleted at once, and the backup is
     made again. Folders of earlier backups are deleted only when one stands that opens.
(R3) A dialog is erased during a backup: the snapshot may still have it. Its id is in a ledger, which is read after
     the snapshot, so a restore erases it again.
(R4) Something is created where a restore puts a file: every file is created exclusively, and nothing is overwritten.
(R5) Two processes back up at the same time: a lease lets one of them, whose partial files are its own.
"""

import asyncio
import errno
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import BackupRunning, BadBackup, BadDatabase, BadKeys
from ..keys import roots, signing
from ..keys.files import sync_folder, write_new
from ..keys.wrapping import PLAIN, Wrapping
from ..leases import held
from ..privacy.ledger import NAME as LEDGER
from ..privacy.ledger import Ledger, Ledgers, number_of
from ..service import Service
from ..stores.open import backend_of
from ..stores.store import Backend, Contents
from .copies import KEYS, Copies, Halves, destroy_keys, name_of, time_of
from .folders import overlap
from .keeping import BackupRule, kept

_LEASE: Final = "backup"
_ATTEMPTS: Final = 3
_SHOWN: Final = 3
"""Backups that a refusal names: the newest."""
_KEEP_ALL: Final = BackupRule()


class Made(NamedTuple):
    """A backup's name, and what went with it."""

    name: str
    pruned: list[str]
    """Earlier backups whose keys were destroyed, because their epoch has ended."""
    removed: Sequence[str] = ()
    """Earlier backups that were deleted, because they are not to be kept."""


async def back_up(service: Service, folder: Path, at: datetime, keep: BackupRule = _KEEP_ALL) -> Made:
    """Copy the data and the keys as of one moment; then delete the keys of ended epochs, and what is not to be kept.

    The copy opens: the epochs of its keys have not ended. It is kept, whatever `keep` says.

    Raises:
        BackupRunning: If another process makes a backup of this store now.
        BadBackup: If a backup with this second exists, the folder is no place for one, it cannot be written, or epochs
            end faster than it is made. Nothing is left of it.
    """
    copies, name = Copies(folder), name_of(at)
    _check_place(service, copies)
    async with held(service.store.leases, _LEASE) as is_held:  # (R5)
        if not is_held:
            raise BackupRunning
        try:
            await asyncio.to_thread(copies.remove_partial)
            if any(path.exists() for path in copies.at(name)):
                raise BadBackup(f"{' or '.join(map(str, copies.at(name)))} already exists; nothing was changed")
            _check_room(copies)
            await _make(service, copies, name)
            pruned = await prune(service, folder)
            return Made(name, pruned, await asyncio.to_thread(_remove_others, copies, name, at, keep))
        except OSError as error:
            raise BadBackup(
                f"cannot write {error.filename or folder} ({error.strerror}); nothing was kept of the backup {name}: "
                "mend that, and run the backup again"
            ) from None


async def _make(service: Service, copies: Copies, name: str) -> None:
    partial = copies.partial(name)
    try:
        for _ in range(_ATTEMPTS):
            await _write_copy(service, partial)
            if not roots.epochs(partial.keys).keys() & await _ended(service):  # (R2)
                await asyncio.to_thread(copies.complete, name)
                return
            await asyncio.to_thread(copies.remove_partial)
    except BaseException:
        await asyncio.to_thread(copies.remove_partial)
        raise
    raise BadBackup("an epoch of the master key ended during each attempt; run the backup again; nothing was kept")


async def _write_copy(service: Service, partial: Halves) -> None:
    for path in (partial.data.parent, partial.keys):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys_dir = service.settings.keys_dir
    before = _roots(keys_dir)  # (R1)
    await service.store.snapshot(partial.data, partial.keys / KEYS)
    files = before | _roots(keys_dir)  # (R1, R3) the later ledger replaces the earlier one
    await asyncio.to_thread(_write_all, partial.keys, files)


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        write_new(folder / name, content)
    sync_folder(folder)


def _check_place(service: Service, copies: Copies) -> None:
    """Check that the folder is apart from the data and the keys, and has backups of this deployment alone.

    `prune` would take another deployment's epochs for this one's.
    """
    settings = service.settings
    backend = backend_of(settings.database, settings.data_dir)
    if clash := overlap(copies.folder, (*backend.folders, settings.keys_dir)):
        raise BadBackup(clash)
    refuse_others(copies, backend, service.deployment)


def refuse_others(copies: Copies, backend: Backend, deployment: bytes) -> None:
    """Check that the newest backup in the folder is this deployment's.

    Raises:
        BadBackup: If it is another one's.
    """
    for name in reversed(copies.names()):
        try:
            found = backend.contents(copies.at(name).data).facts.get(roots.DEPLOYMENT)
        except BadDatabase:  # damaged: it tells nothing, and stops no backup
            continue
        if found != deployment:
            raise BadBackup(f"{copies.folder} has backups of another deployment, such as {name}; name another folder")
        return


def _check_room(copies: Copies) -> None:
    """Check that there is room for as much as the newest copy of the data takes, so that no disk is filled in vain.

    Raises:
        OSError: If there is not.
    """
    names = copies.names()
    if names:
        newest = copies.at(names[-1]).data
        if shutil.disk_usage(newest.parent).free < newest.stat().st_size:
            raise OSError(errno.ENOSPC, "less room on the disk than the latest backup takes", str(newest.parent))


def _remove_others(copies: Copies, name: str, now: datetime, keep: BackupRule) -> list[str]:
    """Delete the backups that are not to be kept; return their names.

    The one that was just made stays, and so do those from the future: the clock was wrong then, or is now.
    """
    times = {other: at for other in copies.names() if (at := time_of(other)) is not None and at <= now}
    stays = kept(times.values(), keep)
    others = [other for other, at in times.items() if at not in stays and other != name]
    for other in others:
        copies.remove(other)
    return others


async def prune(service: Service, folder: Path) -> list[str]:
    """Delete the keys folders that hold a destroyed master; return their names."""
    ended = await _ended(service)
    old = [keys for keys in sorted((folder / "keys").iterdir()) if ended & roots.epochs(keys).keys()]
    for keys in old:
        await asyncio.to_thread(destroy_keys, keys)
    return [keys.name for keys in old]


async def _ended(service: Service) -> set[int]:
    """Return the epochs whose masters are destroyed."""
    return {epoch.number for epoch in await service.store.epochs.all() if epoch.destroyed_at is not None}


def restore(folder: Path, name: str, backend: Backend, keys_dir: Path, wrapping: Wrapping = PLAIN) -> bool:
    """Restore a backup; return whether the ledgers were there, so that they know what was erased since.

    Keys that exist already stay. So do their ledgers; the first one gets the entries of the backup's that they lack.

    Raises:
        BadBackup: If the backup does not exist, a database or files of one exist, data or keys would be among the
            backups, or the folder holds other keys; nothing is overwritten.
        BadKeys: If the backup's keys do not match its data, or keys exist without their ledger.
        BadDatabase: If its data cannot be read.
    """
    data, keys = Copies(folder).at(name)
    if not all(path.is_file() for path in (data, keys / KEYS, keys / LEDGER)):
        there = ", ".join([each for each in Copies(folder).names() if Copies(folder).opens(each)][-_SHOWN:])
        raise BadBackup(
            f"{folder} has no backup {name} with both its data and its keys; it has {there or 'none'};"
            " nothing was changed"
        )
    if found := backend.in_the_way():
        names = ", ".join(found)
        raise BadBackup(
            f"{names} already exists; move it away, or name another --data-dir or --database; nothing was changed"
        )
    if clash := overlap(folder, (*backend.folders, keys_dir)):
        raise BadBackup(f"{clash}; nothing was changed")
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
        backend.restore(data, keys / KEYS)
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
