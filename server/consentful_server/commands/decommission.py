"""`consentful decommission`: the end of a deployment."""

import asyncio
import dataclasses
import sys
from pathlib import Path
from typing import Final

import msgspec

from ..clock import SystemClock
from ..keys.decommissioned import ENDING, PUBLISHED, REPORT
from ..keys.wrapping import wrapping_of
from ..operations import decommissioning
from ..operations.decommissioning import Plan
from ..settings import Place, Settings
from ..stores.open import backend_of
from . import ERR, OUT, Where, existing
from .listing import show

_COLUMNS: Final = ("database", "dialogs", "messages", "exports", "backups")


def decommission(*, yes: bool = False, backups: Path | None = None, place: Where = Place()) -> int:
    """Destroy all keys and all data for good, and print a signed report. Stop the server before.

    The report alone is on the standard output. It stays in the keys folder, beside the public keys that verify it. To
    go on after an interruption, run the same command again.

    Args:
        yes: Do not ask. Otherwise the database's name is to be typed.
        backups: Destroy the backups in this folder of `consentful backup` as well.
    """
    backend, clock = backend_of(place.database, place.data_dir), SystemClock()
    settings = Settings(**dataclasses.asdict(place))
    is_begun = (place.keys_dir / ENDING).exists()
    if not is_begun:
        existing(place)
    plan = asyncio.run(decommissioning.look(settings, backend, clock, backups and backups.absolute()))
    show(ERR, _COLUMNS, [msgspec.structs.asdict(plan)], title="To be destroyed")
    if not (is_begun or yes or _is_confirmed(plan)):
        ERR.print("Nothing was destroyed.")
        return 1
    report = asyncio.run(decommissioning.end(settings, backend, plan, wrapping_of(place.keys_command), clock))
    OUT.print(report, markup=False, highlight=False, soft_wrap=True)
    ERR.print(
        f"Destroyed. Verify the report with: consentful verify {place.keys_dir / REPORT} --jwks"
        f" {place.keys_dir / PUBLISHED}",
        markup=False,
        soft_wrap=True,
    )
    return 0


def _is_confirmed(plan: Plan) -> bool:
    ERR.print("Nobody can undo this. To go on, type the database's name, as it stands above:", soft_wrap=True)
    return sys.stdin.readline().strip() == plan.database
