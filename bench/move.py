"""A move of 1,000,000 messages from SQLite to PostgreSQL, and back: the copy, the time without writes, the check.

Writes stop while every row of both databases is compared. The check opens every dialog and verifies its receipt; a
server runs on the target by then. Each move is made once, and both databases are on the same disk.
"""

import os
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Final, NamedTuple

import uvloop

from consentful_server.operations import integrity, moving
from consentful_server.stores.copying import Finished
from consentful_server.stores.open import backend_of

from . import corpus, postgres
from .figure import Figure, Measured, absolute
from .plan import Plan


class Parts(NamedTuple):
    """What is measured of one move."""

    copied: Figure
    frozen: Figure
    verified: Figure
    rows: Figure


def _parts(way: str) -> Parts:
    of = f"move of 1,000,000 messages, {way}"
    return Parts(
        Figure(f"{of}: copy, while a server may run", "s", less_is_better=True),
        Figure(f"{of}: the rest, without writes", "s", less_is_better=True),
        Figure(f"{of}: open and verify all", "s", less_is_better=True),
        Figure(f"{of}: rows copied", "rows/s"),
    )


_THERE: Final = _parts("SQLite to PostgreSQL")
_BACK: Final = _parts("PostgreSQL to SQLite")
FIGURES: Final = dict(enumerate((*_THERE, *_BACK)))

_DIALOGS, _MESSAGES = 100_000, 10


def measure(plan: Plan) -> list[Measured]:
    folder = plan.new_folder("move")
    sqlite = f"sqlite:///{folder / 'origin' / 'consentful.db'}"
    with postgres.started(plan, os.sched_getaffinity(0)) as running:
        there = postgres.new_database(running, "move")
        uvloop.run(_fill(folder, sqlite, plan.size(_DIALOGS)))
        rows = uvloop.run(_move(folder, sqlite, there, _THERE))
        return rows + uvloop.run(_move(folder, there, "", _BACK))


async def _fill(folder: Path, database: str, dialogs: int) -> None:
    async with corpus.opened(folder, database) as service:
        await corpus.fill(service, "m", dialogs, _MESSAGES)


async def _move(folder: Path, origin: str, target: str, parts: Parts) -> list[Measured]:
    """Move, and open what was moved; an empty target is the SQLite file of the folder.

    Raises:
        RuntimeError: If not all arrived.
    """
    here, there = (backend_of(url, folder / "data") for url in (origin, target))
    keys = folder / "keys"
    copied, _ = await _timed(moving.copy(here, there, keys, _untold))
    frozen, finished = await _timed(moving.finish(here, there, keys, _untold))
    verified = await _verified(folder, target, finished)
    await moving.close_origin(here)
    rate = sum(finished.rows.values()) / copied
    return [absolute(figure, [value]) for figure, value in zip(parts, (copied, frozen, verified, rate), strict=True)]


async def _verified(folder: Path, target: str, finished: Finished) -> float:
    async with corpus.opened(folder, target) as service:
        seconds, proof = await _timed(integrity.prove(service))
    if proof != integrity.Proof(finished.rows["dialogs"], 0):
        raise RuntimeError(f"of {finished.rows['dialogs']} dialogs, these arrived: {proof}")
    return seconds


async def _timed(work: Awaitable[Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = await work
    return time.perf_counter() - began, result


def _untold(_step: str, _done: int, _total: int) -> None:
    """Show no progress."""
