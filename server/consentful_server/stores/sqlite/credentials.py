"""API keys as rows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ...access_log.store import Note
from ...auth.store import Credential
from ...clock import Clock, to_micros
from ...privacy.ledger import Ledger, RevokedEntry
from ..credential_row import COLUMNS, credential_of, row_of
from . import access_log
from .database import Database

if TYPE_CHECKING:
    import sqlite3

_SELECT: Final = f"SELECT {COLUMNS} FROM credentials"


class SQLiteCredentials:
    """The `CredentialStore` of an SQLite database."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger

    async def all(self) -> list[Credential]:
        sql = f"{_SELECT} ORDER BY created_at, id"
        return await self._database.read(lambda db: [credential_of(row) for row in db.execute(sql)])

    async def find(self, key_id: str) -> Credential | None:
        return await self._database.look_up(lambda db: _find(db, key_id))

    async def add(self, credential: Credential, note: Note | None = None) -> None:
        await self._database.writer.write(lambda db: _add(db, credential, note))

    async def add_first(self, credential: Credential, note: Note | None = None) -> bool:
        return await self._database.writer.write(lambda db: _add_first(db, credential, note))

    async def revoke(self, key_id: str, note: Note | None = None) -> bool:
        now = to_micros(self._clock.now())
        return await self._database.writer.write(lambda db: _revoke(db, self._ledger, key_id, now, note), erases=True)

    async def used(self, when: Mapping[str, int]) -> None:
        # The later time wins: several processes report uses of one key, in any order.
        sql = "UPDATE credentials SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?"
        values = [(at, key_id) for key_id, at in when.items()]
        await self._database.writer.write(lambda db: db.executemany(sql, values))


def _find(db: "sqlite3.Connection", key_id: str) -> Credential | None:
    row = db.execute(f"{_SELECT} WHERE id = ?", (key_id,)).fetchone()
    return credential_of(row) if row else None


def _revoke(db: "sqlite3.Connection", ledger: Ledger, key_id: str, at: int, note: Note | None) -> bool:
    sql = "UPDATE credentials SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"
    if db.execute(sql, (at, key_id)).rowcount == 0:
        return _find(db, key_id) is not None
    ledger.add(RevokedEntry(key_id, at))  # durable before COMMIT: a copy of the database must not revive the key
    if note is not None:
        access_log.append(db, note)
    return True


def _add_first(db: "sqlite3.Connection", credential: Credential, note: Note | None) -> bool:
    if db.execute("SELECT 1 FROM credentials LIMIT 1").fetchone():
        return False
    _add(db, credential, note)
    return True


def _add(db: "sqlite3.Connection", credential: Credential, note: Note | None) -> None:
    db.execute(f"INSERT INTO credentials ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row_of(credential))
    if note is not None:
        access_log.append(db, note)
