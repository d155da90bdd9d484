"""Move, and kill this process at its N-th write: `killed_move.py ORIGIN TARGET KEYS N`.

A move that gets through prints N less its writes.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from consentful_server.operations import moving
from consentful_server.stores import copying
from consentful_server.stores.open import backend_of
from consentful_server.stores.postgres.tables import PostgresTables
from consentful_server.stores.sqlite.tables import SQLiteTables

copying._DIALOGS = 3  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]


def kill_at(kind: Any, left: list[int]) -> None:
    """Count what changes a store, and the ends of transactions, and kill the process when none is left."""
    for name in ("insert", "state", "unstate", "fence"):
        method = getattr(kind, name)

        async def counted(*given: Any, method: Any = method, **named: Any) -> Any:
            result = await method(*given, **named)
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(kind, name, counted)


def untold(_step: str, _done: int, _total: int) -> None:
    """Tell nobody how far the move is."""


async def run(origin: str, target: str, keys: Path) -> None:
    here, there = (backend_of(url, Path("data")) for url in (origin, target))
    await moving.finish(here, there, keys, untold)


def main(arguments: Sequence[str]) -> None:
    origin, target, keys, number = arguments
    left = [int(number)]
    for kind in (SQLiteTables, PostgresTables):
        kill_at(kind, left)
    asyncio.run(run(origin, target, Path(keys)))
    sys.stdout.write(str(left[0]))


main(sys.argv[1:])
