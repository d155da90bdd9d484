"""Every kind of store, for the suite that all of them pass."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from consentful_server.clock import Clock
from consentful_server.stores.store import Store
from sealed import open_store


async def _sqlite(folder: Path, clock: Clock) -> Store:
    return await open_store(folder / "test.db", clock)


KINDS: Final[Mapping[str, Callable[[Path, Clock], Awaitable[Store]]]] = {"sqlite": _sqlite}
"""Opens a new store in a folder that is the test's own. Calling it again opens the same store once more."""
