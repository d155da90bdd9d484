"""The operator's commands for copies: make one of a running service, and put one back."""

from pathlib import Path

from ..operations import backup as copies
from ..service import Service
from ..settings import Place
from ..stores.open import backend_of
from . import ERR, OUT, Where, with_service


def backup(folder: Path, *, place: Where = Place()) -> int:
    """Copy data and keys into FOLDER, apart from each other, beside a running server or without one.

    Copies of keys that are there from ended epochs are destroyed: the data that were copied with them open nowhere.

    Args:
        folder: Holds `data` and `keys` afterwards; put them in different hands.
    """

    async def work(service: Service) -> copies.Made:
        return await copies.back_up(service, folder, service.clock.now())

    made = with_service(place, work)
    OUT.print(f"Made the backup {made.name}.", markup=False, soft_wrap=True)
    for name in made.pruned:
        OUT.print(f"Destroyed the keys of the backup {name}: their epoch has ended.", markup=False, soft_wrap=True)
    return 0


def restore(folder: Path, name: str, *, place: Where = Place()) -> int:
    """Put the backup NAME from FOLDER where no database is, erase again what was erased since, and open every dialog.

    Args:
        folder: Holds `data` and `keys`.
        name: Of the backup, as `backup` printed it.
    """
    copies.restore(folder, name, backend_of(place.database, place.data_dir), place.keys_dir)
    proof = with_service(place, copies.prove)
    OUT.print(f"{proof.opened:,} dialogs open to the last word.")
    if proof.damaged:
        ERR.print(f"{proof.damaged:,} do not.")
    return 1 if proof.damaged else 0
