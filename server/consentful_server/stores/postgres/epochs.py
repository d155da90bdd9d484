"""The epochs of the master key as rows, and the wrapped keys. `keys.rotation` explains the steps."""

from collections.abc import Mapping, Sequence
from typing import Final

from ...keys.store import Epoch, Rewrapped, Unended, WrappedKey
from . import access_log
from . import facts as fact_rows
from .connection import Connection
from .database import Database
from .placeholders import columns

DESTROYED: Final = "(SELECT coalesce(max(number), 0) FROM epochs WHERE destroyed_at IS NOT NULL)"
LATEST: Final = "(SELECT coalesce(max(number), 1) FROM epochs)"

# A wrapped key begins with its epoch in four bytes, big-endian, which sort as the numbers do; a shredded one with 0.
_EARLIER: Final = "substring(k.wrapped FROM 1 FOR 4) BETWEEN '\\x00000001' AND $1"
# Compare and swap: a key that was erased or rewrapped since it was read no longer matches.
_REWRAP: Final = (
    "UPDATE dialog_keys k SET wrapped = w.after FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])"
    " AS w (dialog, before, after) WHERE k.dialog = w.dialog AND k.wrapped = w.before"
)


class PostgresEpochs:
    """The `EpochStore` of a PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Epoch]:
        sql = "SELECT number, begun_at, emptied_at, destroyed_at FROM epochs ORDER BY number"
        return [Epoch(*row) for row in await self._database.fetch(sql)]

    async def begin(self, number: int, at: int, facts: Mapping[str, bytes]) -> None:
        async def work(db: Connection) -> None:
            sql = "INSERT INTO epochs (number, begun_at) VALUES ($1, $2) ON CONFLICT DO NOTHING"
            await db.execute(sql, number, at)
            await fact_rows.insert(db, facts)

        await self._database.writer.write(work)

    async def keys_before(self, epoch: int, after: int, limit: int) -> list[WrappedKey]:
        sql = (
            "SELECT k.dialog, d.dialog_id, k.wrapped FROM dialog_keys k JOIN dialogs d ON d.id = k.dialog"
            f" WHERE {_EARLIER} AND k.dialog > $2 ORDER BY k.dialog LIMIT $3"
        )
        return [WrappedKey(*row) for row in await self._database.fetch(sql, _prefix(epoch - 1), after, limit)]

    async def rewrap(self, keys: Sequence[Rewrapped]) -> None:
        await self._database.writer.write(lambda db: db.execute(_REWRAP, *columns(keys, 3)))

    async def left(self, epoch: int) -> int:
        sql = f"SELECT count(*) FROM dialog_keys k WHERE {_EARLIER}"
        return await self._database.fetchval(sql, _prefix(epoch - 1))

    async def empty(self, epoch: int, at: int) -> bool:
        # No key can appear under an earlier epoch after the count. A read that began before it may still have one.
        if await self.left(epoch) or not await self._database.nobody_reads():
            return False
        sql = "UPDATE epochs SET emptied_at = $1 WHERE number < $2 AND emptied_at IS NULL"
        await self._database.writer.write(lambda db: db.execute(sql, at, epoch))
        return True

    async def end(self, epoch: int, at: int) -> None:
        async def work(db: Connection) -> None:
            sql = "UPDATE epochs SET destroyed_at = $1 WHERE number < $2 AND destroyed_at IS NULL"
            await db.execute(sql, at, epoch)
            await access_log.end_values(db, epoch)  # nothing opens them any more

        await self._database.writer.write(work)

    async def incomplete(self) -> Unended:
        sql = f"SELECT count(*), min(erased_at) FROM tombstones WHERE epoch > {DESTROYED}"
        ((number, since),) = await self._database.fetch(sql)
        return Unended(number, since)


def _prefix(epoch: int) -> bytes:
    return epoch.to_bytes(4, "big")
