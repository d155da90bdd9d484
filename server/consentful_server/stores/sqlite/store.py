"""The store on SQLite, for one machine.

One writer commits in groups; readers have their own connections and read in short transactions.
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

from ...clock import Clock, to_micros
from ...errors import OutcomeUnknown, StorageFailed
from ...privacy.ledger import Ledger
from ..group_commit import Meter
from . import backup
from .access_log import SQLiteAccessLog
from .annotations import SQLiteAnnotations
from .connection import sqlite3
from .counters import SQLiteCounters
from .credentials import SQLiteCredentials
from .database import Database
from .dialogs import SQLiteDialogs
from .epochs import SQLiteEpochs
from .exports import SQLiteExports
from .facts import SQLiteFacts
from .leases import SQLiteLeases
from .notices import SQLiteNotices
from .remains import SQLiteRemains
from .requests import SQLiteRequests
from .reserve import Reserve
from .trusted_time import SQLiteTrustedTime

_FRESH_S: Final = 5.0
"""Age of the last successful write up to which the store counts as ready."""


class SQLiteStore:
    """The `Store` on one SQLite database."""

    def __init__(self, path: Path, database: Database, clock: Clock, ledger: Ledger, reserve: Reserve) -> None:
        self._path = path
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._reserve = reserve
        self.dialogs = SQLiteDialogs(path, database, clock, ledger)
        self.annotations = SQLiteAnnotations(database)
        self.notices = SQLiteNotices(database, clock, ledger)
        self.requests = SQLiteRequests(database)
        self.remains = SQLiteRemains(database)
        self.credentials = SQLiteCredentials(database, clock, ledger)
        self.facts = SQLiteFacts(database)
        self.epochs = SQLiteEpochs(database)
        self.exports = SQLiteExports(database)
        self.counters = SQLiteCounters(database)
        self.leases = SQLiteLeases(database, clock)
        self.trusted_time = SQLiteTrustedTime(database)
        self.access_log = SQLiteAccessLog(database)

    async def engine(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    @property
    def waiting(self) -> int:
        return self._database.writer.commits.waiting

    @property
    def is_replica_avoided(self) -> bool:
        return False

    def measure(self, meter: Meter) -> None:
        self._database.writer.commits.meter = meter

    async def probe(self) -> None:
        writer = self._database.writer
        # In doubt even a fresh success proves nothing; the write tries to resolve the doubt first.
        if writer.in_doubt or writer.is_failing or self._clock.monotonic() - writer.last_success > _FRESH_S:
            stamp = to_micros(self._clock.now()).to_bytes(8, "big")
            await writer.write(lambda db: db.execute("INSERT OR REPLACE INTO facts VALUES ('last probe', ?)", (stamp,)))
        if writer.is_full:
            raise StorageFailed

    async def hold_reserve(self) -> bool:
        is_held = await asyncio.to_thread(self._reserve.allocate)
        if is_held and self._database.writer.is_full:
            with suppress(StorageFailed, OutcomeUnknown):
                await self.probe()  # it ends the state by itself, also where nobody asks for the readiness
        return is_held and not self._database.writer.is_full

    async def snapshot(self, data: Path, keys: Path) -> None:
        await asyncio.to_thread(backup.copy, self._path, data, keys)

    async def close(self) -> None:
        await self._database.close()
        self._ledger.close()
