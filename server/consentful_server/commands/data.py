"""Commands around what is kept: fill it with real conversations, write it out, bring its schema up to date."""

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..settings import Place
from ..stores.open import backend_of
from . import ERR, OUT, Token, Url, Where
from .client.demo import DEFAULT_DIALOGS, Demo
from .client.export import ExportCommand


def demo(
    *,
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
    dialogs: int = DEFAULT_DIALOGS,
    seed: int = 1,
    at_once: int = 16,
) -> int:
    """Replay real human conversations through the SDK, some granted, some declined, some dropped; check what is kept.

    Args:
        dialogs: How many conversations of `chitchat-dataset` to replay.
        seed: Which ones, and how each ends: the same seed, the same demo.
        at_once: How many run at the same time.
    """
    return asyncio.run(Demo(url, token, dialogs=dialogs, seed=seed, at_once=at_once).run(OUT))


def export(
    output: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    *,
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
    filters: Annotated[ExportCommand, Parameter(name="*")] = ExportCommand(),
) -> int:
    """Write every consented message that fits to OUTPUT: NDJSON, CSV, Parquet or Arrow; `-` is the standard output.

    NDJSON and CSV that were cut short go on where they ended when the same command is run again.
    """
    return filters.run(url, token, output, ERR)


def migrate(place: Where = Place()) -> int:
    """Bring the database to this version's schema. `serve` does it by itself."""
    steps = backend_of(place.database, place.data_dir).migrate()
    for step in steps:
        OUT.print(f"{step.number:04d} {step.name}")
    OUT.print("The schema is up to date." if not steps else f"{len(steps)} steps were taken.")
    return 0
