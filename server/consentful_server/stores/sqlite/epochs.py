"""The epochs of the master key as rows, and the wrapped keys in place. `keys.rotation` explains the steps."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ...keys.store import Epoch, Rewrapped, Unended, WrappedKey
from . import access_log
from .database import Database

if TYPE_CHECKING:
    import sqlite3

DESTROYED: Final = "(SELECT coalesce(max(number), 0) FROM epochs WHERE destroyed_at IS NOT NULL)"
LATEST: Final = "(SELECT coalesce(max(number), 1) FROM epochs)"

# A wrapped key begins with its epoch in four bytes, big-endian, which sort as the numbers do; a shredded one with 0.
_EARLIER: Final = "substr(wrapped, 1, 4) BETWEEN x'00000001' AND ?"


class SQLiteEpochs:
    """The `EpochStore` of an SQLite database.

    Every write here may use the disk reserve: an erasure is complete only when its epoch has ended.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Epoch]:
        sql = "SELECT number, begun_at, emptied_at, destroyed_at FROM epochs ORDER BY number"
        return await self._database.read(lambda db: [Epoch(*row) for row in db.execute(sql)])

    async def begin(self, number: int, at: int, facts: Mapping[str, bytes]) -> None:
        def work(db: "sqlite3.Connection") -> None:
            db.execute("INSERT INTO epochs (number, begun_at) VALUES (?, ?) ON CONFLICT DO NOTHING", (number, at))
            db.executemany("INSERT INTO facts VALUES (?, ?) ON CONFLICT DO NOTHING", list(facts.items()))

        await self._database.writer.write(work, erases=True)

    async def keys_before(self, epoch: int, after: int, limit: int) -> list[WrappedKey]:
        sql = (
            "SELECT k.dialog, d.dialog_id, k.wrapped FROM dialog_keys k JOIN dialogs d ON d.id = k.dialog"
            f" WHERE {_EARLIER} AND k.dialog > ? ORDER BY k.dialog LIMIT ?"
        )
        values = (_prefix(epoch - 1), after, limit)
        return await self._database.read(lambda db: [WrappedKey(*row) for row in db.execute(sql, values)])

    async def rewrap(self, keys: Sequence[Rewrapped]) -> None:
        # Compare and swap: a key that was erased or rewrapped since it was read no longer matches.
        sql = "UPDATE dialog_keys SET wrapped = ? WHERE dialog = ? AND wrapped = ?"
        values = [(key.after, key.dialog, key.before) for key in keys]
        await self._database.writer.write(lambda db: db.executemany(sql, values), erases=True)

    async def left(self, epoch: int) -> int:
        return await self._database.read(lambda db: _left(db, epoch))

    async def empty(self, epoch: int, at: int) -> bool:
        # No key can appear under an earlier epoch after the count; the truncation removes the page images from before.
        if await self.left(epoch) or not await self._database.writer.truncate():
            return False
        sql = "UPDATE epochs SET emptied_at = ? WHERE number < ? AND emptied_at IS NULL"
        await self._database.writer.write(lambda db: db.execute(sql, (at, epoch)), erases=True)
        return True

    async def end(self, epoch: int, at: int) -> None:
        sql = "UPDATE epochs SET destroyed_at = ? WHERE number < ? AND destroyed_at IS NULL"

        def work(db: "sqlite3.Connection") -> None:
            db.execute(sql, (at, epoch))
            access_log.end_values(db, epoch)  # nothing opens them any more

        await self._database.writer.write(work, erases=True)

    async def incomplete(self) -> Unended:
        sql = f"SELECT count(*), min(erased_at) FROM tombstones WHERE epoch > {DESTROYED}"
        return await self._database.read(lambda db: Unended(*db.execute(sql).fetchone()))


def current(db: "sqlite3.Connection") -> int:
    """Return the epoch in which keys are wrapped now; 0 before the first one begins."""
    return db.execute("SELECT coalesce(max(number), 0) FROM epochs").fetchone()[0]


def _left(db: "sqlite3.Connection", epoch: int) -> int:
    return db.execute(f"SELECT count(*) FROM dialog_keys WHERE {_EARLIER}", (_prefix(epoch - 1),)).fetchone()[0]


def _prefix(epoch: int) -> bytes:
    return epoch.to_bytes(4, "big")
