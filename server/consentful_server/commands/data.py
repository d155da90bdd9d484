"""`consentful demo`, `consentful export` and `consentful migrate`."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from ..keys.decommissioned import refuse_decommissioned
from ..service import Service, keep_apart
from ..settings import Place
from ..stores.open import backend_of
from ..stores.store import Backend
from . import ERR, OUT, Token, Url, Where, with_service
from .client.demo import DEFAULT_DIALOGS, Demo
from .client.export import ExportCommand

_UP_TO_DATE: Final = "The schema is up to date."


def demo(
    *,
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
    dialogs: int = DEFAULT_DIALOGS,
    seed: int = 1,
    at_once: int = 16,
) -> int:
    """Replay real human conversations through the SDK, then compare the stored dialogs with what was granted.

    Some dialogs are granted, some declined, some left without a decision.

    Args:
        dialogs: Number of conversations of `chitchat-dataset` to replay.
        seed: Selects the conversations and their decisions; the same seed repeats the same demo.
        at_once: Number of concurrent dialogs.
    """
    return asyncio.run(Demo(url, token, dialogs=dialogs, seed=seed, at_once=at_once).run(OUT))


def export(
    output: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    *,
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
    filters: Annotated[ExportCommand, Parameter(name="*")] = ExportCommand(),
) -> int:
    """Export all matching messages to OUTPUT as NDJSON, CSV, Parquet or Arrow; `-` is the standard output.

    To resume an interrupted export in NDJSON or CSV, run the same command again.
    """
    return filters.run(url, token, output, ERR)


def _tell_pending(backend: Backend) -> int:
    """Print what `migrate` would do."""
    if not backend.exists():
        OUT.print(f"There is no database at {backend.name}; migrate creates one.", markup=False, soft_wrap=True)
        return 0
    steps = backend.pending()
    for step in steps:
        OUT.print(f"{step.number:04d} {step.name}")
    if not steps:
        OUT.print(_UP_TO_DATE)
    return 0


def migrate(*, dry_run: bool = False, citus: bool = False, place: Where = Place()) -> int:
    """Migrate the database to this version's schema. `serve` does the same at its start; other commands do not.

    Without a database, create one, and its keys. Earlier versions cannot open the database afterwards: to go back,
    restore a backup that the earlier version made.

    Args:
        dry_run: Only print the steps that are pending. Nothing is changed.
        citus: Then distribute its tables over the machines of a Citus cluster, once, and print the statements. No
            cluster has run them yet; the documentation says what speaks against it.
    """
    backend = backend_of(place.database, place.data_dir)
    keep_apart(place, backend)
    refuse_decommissioned(place.keys_dir)
    if dry_run:
        return _tell_pending(backend)
    is_new = not backend.exists()
    steps = backend.migrate()
    if is_new:
        with_service(place, _nothing)  # opening it creates its keys and its first notice
    for step in steps:
        OUT.print(f"{step.number:04d} {step.name}")
    OUT.print(_UP_TO_DATE if not steps else f"Applied {len(steps)} migrations.")
    if citus:
        for statement in backend.distribute():
            OUT.print(f"{statement};", markup=False, highlight=False, soft_wrap=True)
    return 0


async def _nothing(_service: Service) -> None: ...
