"""API keys as rows."""

from collections.abc import Mapping
from typing import Final

from ...access_log.store import Note
from ...auth.store import Credential
from ...clock import Clock, to_micros
from ...privacy.ledger import Ledger, RevokedEntry
from ..credential_row import COLUMNS, credential_of, row_of
from . import access_log
from .connection import Connection
from .database import Database

_SELECT: Final = f"SELECT {COLUMNS} FROM credentials"
_INSERT: Final = f"INSERT INTO credentials ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"


class PostgresCredentials:
    """The `CredentialStore` of a PostgreSQL database."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger

    async def all(self) -> list[Credential]:
        return [credential_of(row) for row in await self._database.fetch(f"{_SELECT} ORDER BY created_at, id")]

    async def find(self, key_id: str) -> Credential | None:
        row = await self._database.fetchrow(f"{_SELECT} WHERE id = $1", key_id)
        return credential_of(row) if row else None

    async def add(self, credential: Credential, note: Note | None = None) -> None:
        await self._database.writer.write(lambda db: _add(db, credential, note))

    async def add_first(self, credential: Credential, note: Note | None = None) -> bool:
        return await self._database.writer.write(lambda db: _add_first(db, credential, note))

    async def revoke(self, key_id: str, note: Note | None = None) -> bool:
        now = to_micros(self._clock.now())
        return await self._database.writer.write(lambda db: _revoke(db, self._ledger, key_id, now, note))

    async def used(self, when: Mapping[str, int]) -> None:
        # The later time wins: several processes report uses of one key, in any order.
        sql = "UPDATE credentials SET last_used_at = greatest(coalesce(last_used_at, 0), $1) WHERE id = $2"
        values = [(at, key_id) for key_id, at in when.items()]
        await self._database.writer.write(lambda db: db.executemany(sql, values))


async def _revoke(db: Connection, ledger: Ledger, key_id: str, at: int, note: Note | None) -> bool:
    sql = "UPDATE credentials SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL"
    if await db.execute(sql, at, key_id) == "UPDATE 0":
        return await db.fetchval("SELECT EXISTS (SELECT 1 FROM credentials WHERE id = $1)", key_id)
    ledger.add(RevokedEntry(key_id, at))  # durable before COMMIT: a copy of the database must not revive the key
    await access_log.append_if(db, note)
    return True


async def _add_first(db: Connection, credential: Credential, note: Note | None) -> bool:
    if await db.fetchval("SELECT EXISTS (SELECT 1 FROM credentials)"):  # the writer's lock is held: nobody adds another
        return False
    await _add(db, credential, note)
    return True


async def _add(db: Connection, credential: Credential, note: Note | None) -> None:
    await db.execute(_INSERT, *row_of(credential))
    await access_log.append_if(db, note)
