"""An SQLite database by its path: opened, migrated, or restored from a snapshot."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from ...clock import Clock
from ...errors import BadDatabase, BadSetting
from ...privacy.ledger import Ledger
from ..steps import Step, log_applied
from ..store import Contents
from ..tables import refuse_moved
from . import backup, destruction, leftovers
from .connection import connect, sqlite3
from .database import Database
from .ledger_length import record
from .migrations import migrate, pending
from .reserve import Reserve
from .store import SQLiteStore
from .tables import SQLiteTables
from .writer import FULL

_RESERVE: Final = "reserve"
_LEDGER_RESERVE: Final = 256 * 1024
"""Bytes reserved beside the erasure ledger, whose entries have about 450 bytes each."""


class SQLiteBackend:
    """The `Backend` of one SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def folders(self) -> Sequence[Path]:
        return [self.path.parent]

    @property
    def is_shared(self) -> bool:
        return False

    async def open(self, clock: Clock, ledger: Ledger, reserve: int = 0) -> SQLiteStore:
        log_applied(await asyncio.to_thread(self.migrate))
        sizes = {
            self.path.with_name(_RESERVE): reserve,
            ledger.path.with_name(_RESERVE): min(reserve, _LEDGER_RESERVE),  # the keys may lie on another disk
        }
        room = Reserve(sizes)
        database = await Database.open(self.path, clock, lambda db: record(db, ledger), room)
        return SQLiteStore(self.path, database, clock, ledger, room)

    def pending(self) -> list[Step]:
        if not self.exists():
            return []
        leftovers.check(self.path)
        with self._connected(in_use=True) as db:
            return [Step(step.number, step.name) for step in pending(db)]

    def migrate(self) -> list[Step]:
        return self._migrate(in_use=True)

    async def tables(self, *, new: bool = False) -> SQLiteTables:
        if new:
            await asyncio.to_thread(self._migrate, in_use=False)
        else:
            leftovers.check(self.path)
        return SQLiteTables(self.path)

    def _migrate(self, *, in_use: bool) -> list[Step]:
        leftovers.check(self.path)
        self._make_folder()
        with self._connected(in_use=in_use) as db:
            return migrate(db)

    @contextmanager
    def _connected(self, *, in_use: bool) -> Generator["sqlite3.Connection"]:
        """Open the file, and check that it is a store: with `in_use`, one that was not moved."""
        try:
            with closing(connect(self.path)) as db:
                facts = backup.facts_of(db)
                backup.refuse_incomplete(facts, self.path)
                if in_use:
                    refuse_moved(facts, self.name)
                yield db
        except sqlite3.OperationalError as error:
            is_full = error.sqlite_errorname in FULL
            remedy = "free some space on its disk" if is_full else "check that its folder exists and is writable"
            raise BadDatabase(f"{self.path} cannot be opened ({error}); {remedy}") from None
        except sqlite3.DatabaseError as error:
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            if name == "SQLITE_NOTADB":
                raise BadDatabase(f"{self.path} is not an SQLite database; name another file with --database") from None
            raise BadDatabase(f"{self.path} is damaged ({name}); move it away, and restore the newest backup") from None

    def distribute(self) -> Sequence[str]:
        raise BadSetting("citus", "needs a PostgreSQL database with Citus; name it with --database postgresql://…")

    async def check_idle(self) -> None:
        await asyncio.to_thread(destruction.check_idle, self.path)

    async def destroy(self) -> int:
        await asyncio.to_thread(destruction.destroy, self.path, self.path.with_name(_RESERVE))
        return len(self.in_the_way())

    def exists(self) -> bool:
        return self.path.exists()

    def in_the_way(self) -> Sequence[str]:
        return [str(path) for path in leftovers.in_the_way(self.path)]

    def contents(self, data: Path) -> Contents:
        return backup.contents(data)

    def restore(self, data: Path, keys: Path) -> None:
        self._make_folder()
        backup.put_together(data, keys, self.path)

    def _make_folder(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BadDatabase(
                f"{self.path.parent} cannot be created ({error.strerror}); name another --data-dir or --database"
            ) from None
