"""`consentful backup` and `consentful restore`."""

from pathlib import Path

from ..errors import BadSetting
from ..keys.decommissioned import refuse_decommissioned
from ..keys.wrapping import wrapping_of
from ..operations import backup as copies
from ..operations.copies import Copies
from ..operations.keeping import BackupRule
from ..service import Service
from ..settings import Place
from ..stores.open import backend_of
from . import ERR, OUT, Where, with_service
from .privacy import check_dialogs


def backup(folder: Path, *, keep: int = 0, keep_daily: int = 0, keep_weekly: int = 0, place: Where = Place()) -> int:
    """Back up data and keys, separately, into FOLDER. The server may be running.

    Key copies of ended epochs in FOLDER are destroyed, so that their data copies cannot be decrypted any more. Without
    one of the three numbers no backup is deleted; with several, a backup is kept if one of them keeps it.

    Args:
        folder: Contains `data` and `keys` afterwards. Store the two in different places, with different owners.
        keep: BackupRule the newest backups, so many of them.
        keep_daily: Of each of so many days that have a backup, keep the newest.
        keep_weekly: Of each of so many weeks that have a backup, keep the newest.
    """
    rule = BackupRule(keep, keep_daily, keep_weekly)
    if min(rule) < 0:
        raise BadSetting("keep", "must be a whole number, 0 or more, like the others")

    async def work(service: Service) -> copies.Made:
        return await copies.back_up(service, folder, service.clock.now(), rule)

    made = with_service(place, work)
    OUT.print(f"Created backup {made.name}.", markup=False, soft_wrap=True)
    for name in made.pruned:
        OUT.print(f"Destroyed the keys of backup {name}: its epoch has ended.", markup=False, soft_wrap=True)
    for name in made.removed:
        OUT.print(f"Deleted backup {name}.", markup=False, soft_wrap=True)
    if any(rule):
        left = Copies(folder)
        names = left.names()
        opening = sum(map(left.opens, names))
        OUT.print(f"Kept {len(names)}, of which {opening} can be restored.", markup=False, soft_wrap=True)
    return 0


def restore(folder: Path, name: str, *, place: Where = Place()) -> int:
    """Restore backup NAME from FOLDER, repeat what was taken back since, and verify every dialog.

    Nothing is overwritten: the target must not contain a database, nor files of one. Readers and recipients start
    again: their cursors are refused, because what they read after the backup is lost.

    Args:
        folder: Contains `data` and `keys`.
        name: The backup's name, as printed by `backup`.
    """
    refuse_decommissioned(place.keys_dir)
    backend, wrapping = backend_of(place.database, place.data_dir), wrapping_of(place.keys_command)
    knows = copies.restore(folder, name, backend, place.keys_dir, wrapping)
    backend.migrate()  # a backup of an earlier release
    if not knows:
        ERR.print(
            "The ledger came with the backup: what was erased, retracted, revoked, narrowed or retired since is not"
            " known. Repeat it.",
            soft_wrap=True,
        )
    proof = check_dialogs(place)
    OUT.print("To destroy the master key that came with the backup, run: consentful roots rotate", soft_wrap=True)
    return 1 if proof.damaged else 0
