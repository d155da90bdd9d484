"""API keys, as rows."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from ...clock import Clock, to_micros
from ..credentials import Credential
from .database import Database

if TYPE_CHECKING:
    import sqlite3

_SELECT: Final = "SELECT id, name, hash, scopes, purposes, created_at, expires_at, revoked_at FROM credentials"


class SQLiteCredentials:
    """The `Credentials` of an SQLite database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def all(self) -> list[Credential]:
        sql = f"{_SELECT} ORDER BY created_at, id"
        return await self._database.read(lambda db: [_from_row(row) for row in db.execute(sql)])

    async def find(self, key_id: str) -> Credential | None:
        return await self._database.read(lambda db: _find(db, key_id))

    async def add(self, credential: Credential) -> None:
        await self._database.writer.write(lambda db: _add(db, credential))

    async def revoke(self, key_id: str) -> bool:
        now = to_micros(self._clock.now())
        sql = "UPDATE credentials SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?"
        return await self._database.writer.write(lambda db: db.execute(sql, (now, key_id)).rowcount == 1)


def _from_row(row: Sequence[Any]) -> Credential:
    key_id, name, digest, scopes, purposes, *times = row
    created_at, expires_at, revoked_at = times
    return Credential(
        id=key_id,
        name=name,
        hash=digest,
        scopes=tuple(json.loads(scopes)),
        purposes=None if purposes is None else tuple(json.loads(purposes)),
        created_at=created_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
    )


def _find(db: "sqlite3.Connection", key_id: str) -> Credential | None:
    row = db.execute(f"{_SELECT} WHERE id = ?", (key_id,)).fetchone()
    return _from_row(row) if row else None


def _add(db: "sqlite3.Connection", credential: Credential) -> None:
    db.execute(
        "INSERT INTO credentials VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            credential.id,
            credential.name,
            credential.hash,
            json.dumps(credential.scopes),
            None if credential.purposes is None else json.dumps(credential.purposes),
            credential.created_at,
            credential.expires_at,
            credential.revoked_at,
        ),
    )
