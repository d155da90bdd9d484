"""The store on PostgreSQL, for several machines.

One writer in each process commits in groups; readers come from a pool and read in short transactions.
"""

from pathlib import Path
from typing import Final

from ...clock import Clock, to_micros
from ...privacy.ledger import Ledger
from ..group_commit import Meter
from . import snapshot
from .access_log import PostgresAccessLog
from .annotations import PostgresAnnotations
from .connection import Connection
from .counters import PostgresCounters
from .credentials import PostgresCredentials
from .database import Database
from .dialogs import PostgresDialogs
from .epochs import PostgresEpochs
from .exports import PostgresExports
from .facts import PostgresFacts
from .leases import PostgresLeases
from .notices import PostgresNotices
from .remains import PostgresRemains
from .requests import PostgresRequests
from .trusted_time import PostgresTrustedTime

_FRESH_S: Final = 5.0
"""Age of the last successful write up to which the store counts as ready."""


class PostgresStore:
    """The `Store` on one PostgreSQL database."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self.dialogs = PostgresDialogs(database, clock, ledger)
        self.annotations = PostgresAnnotations(database)
        self.notices = PostgresNotices(database, clock, ledger)
        self.requests = PostgresRequests(database)
        self.remains = PostgresRemains(database)
        self.credentials = PostgresCredentials(database, clock, ledger)
        self.facts = PostgresFacts(database)
        self.epochs = PostgresEpochs(database)
        self.exports = PostgresExports(database)
        self.counters = PostgresCounters(database)
        self.leases = PostgresLeases(database, clock)
        self.trusted_time = PostgresTrustedTime(database)
        self.access_log = PostgresAccessLog(database)

    async def engine(self) -> str:
        ((version,),) = await self._database.fetch("SHOW server_version")
        return f"PostgreSQL {version}"

    @property
    def waiting(self) -> int:
        return self._database.writer.commits.waiting

    @property
    def is_replica_avoided(self) -> bool:
        return self._database.is_replica_avoided

    def measure(self, meter: Meter) -> None:
        self._database.writer.commits.meter = meter

    async def probe(self) -> None:
        writer = self._database.writer
        # In doubt even a fresh success proves nothing; the transaction ends the doubt first.
        if writer.in_doubt or writer.is_failing or self._clock.monotonic() - writer.last_success > _FRESH_S:
            await writer.write(self._stamp)

    async def hold_reserve(self) -> bool:
        return True

    async def snapshot(self, data: Path, keys: Path) -> None:
        await snapshot.copy(self._database.address, data, keys)

    async def close(self) -> None:
        await self._database.close()
        self._ledger.close()

    async def _stamp(self, db: Connection) -> None:
        stamp = to_micros(self._clock.now()).to_bytes(8, "big")
        sql = "INSERT INTO facts VALUES ('last probe', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        await db.execute(sql, stamp)
