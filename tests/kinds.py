"""Every kind of store, for the suite that all of them pass."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from consentful_server.clock import Clock
from consentful_server.stores.open import backend_of
from consentful_server.stores.store import Store
from postgres_server import database_of
from sealed import open_store, opened_ledger


async def _sqlite(folder: Path, clock: Clock) -> Store:
    return await open_store(folder / "test.db", clock)


async def _postgres(folder: Path, clock: Clock) -> Store:
    return await backend_of(await database_of(folder), folder).open(clock, opened_ledger(folder))


KINDS: Final[Mapping[str, Callable[[Path, Clock], Awaitable[Store]]]] = {"sqlite": _sqlite, "postgres": _postgres}
"""Opens a new store in a folder that is the test's own. Calling it again opens the same store once more."""
