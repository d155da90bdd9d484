"""The store on SQLite: a laptop's, and one machine's.

One writer commits in groups; readers have connections of their own and read in short transactions.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from ...access_log.store import Note
from ...archive.query import Selection
from ...archive.store import (
    Candidate,
    DialogsOpener,
    Erasure,
    Held,
    MessagesOpener,
    Reason,
    SealedDialog,
    Tombstone,
    Verification,
)
from ...clock import Clock, from_micros, to_micros
from ...errors import BadDatabase, Erased
from ...keys.vault import SHREDDED
from ...privacy.ledger import Entry, Ledger
from . import access_log, counters, dialogs, epochs, pages
from .access_log import SQLiteAccessLog
from .connection import connect, sqlite3
from .counters import SQLiteCounters
from .credentials import SQLiteCredentials
from .database import Database
from .epochs import SQLiteEpochs
from .exports import SQLiteExports
from .facts import SQLiteFacts
from .leases import SQLiteLeases
from .migrations import Migration, migrate
from .notices import SQLiteNotices
from .requests import SQLiteRequests
from .reserve import Reserve

T = TypeVar("T")

_FRESH_S: Final = 5.0
"""How old the last write may be for the store to count as ready."""


class SQLiteStore:
    """The `Store` on one SQLite database."""

    def __init__(self, path: Path, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._path = path
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self.notices = SQLiteNotices(database, clock)
        self.requests = SQLiteRequests(database)
        self.credentials = SQLiteCredentials(database, clock)
        self.facts = SQLiteFacts(database)
        self.epochs = SQLiteEpochs(database)
        self.exports = SQLiteExports(database)
        self.counters = SQLiteCounters(database)
        self.leases = SQLiteLeases(database, clock)
        self.access_log = SQLiteAccessLog(database)

    @classmethod
    async def open(cls, path: Path, clock: Clock, ledger: Ledger, reserve: Reserve | None = None) -> "SQLiteStore":
        """Return the store, at this program's schema. Every erasure is in the ledger before it is done.

        The ledger is the store's from now on, to write to and to close. What erases may use the reserve.

        Raises:
            BadDatabase: If the schema is newer, the file is no database, or SQLite is one that can corrupt it.
        """
        await asyncio.to_thread(prepare, path)
        return cls(path, await Database.open(path, clock, ledger.sync, reserve), clock, ledger)

    async def close(self) -> None:
        await self._database.close()
        self._ledger.close()

    async def keep(self, candidate: Candidate) -> SealedDialog:
        return await self._database.writer.write(lambda db: self._keep(db, candidate))

    async def erase(
        self,
        dialog_id: str,
        reason: Reason,
        *,
        owner: str | None = None,
        customer: str | None = None,
        note: Note | None = None,
    ) -> Erasure | None:
        return await self._erasing(lambda db: self._erase(db, dialog_id, reason, owner, customer, note))

    async def withdraw(self, withdrawal_hash: bytes, note: Note | None = None) -> Erasure | None:
        def erase(db: sqlite3.Connection) -> Tombstone | None:
            dialog_id = dialogs.of_withdrawal(db, withdrawal_hash)
            return self._erase(db, dialog_id, "withdrawn", None, None, note) if dialog_id else None

        return await self._erasing(erase)

    async def dialogs_of(self, customer: str) -> list[Held]:
        sql = "SELECT id, dialog_id, messages FROM dialogs WHERE customer = ? ORDER BY id"
        return await self._database.read(lambda db: [Held(*row) for row in db.execute(sql, (customer,))])

    async def still_held(self, dialog_ids: Sequence[str]) -> list[str]:
        sql = "SELECT dialog_id FROM dialogs WHERE dialog_id IN (SELECT value FROM json_each(?))"
        return await self._database.read(lambda db: [row[0] for row in db.execute(sql, (json.dumps(dialog_ids),))])

    async def verify_erased(self, dialog_ids: Sequence[str]) -> Verification:
        truncated = await self._database.writer.truncate()
        return await asyncio.to_thread(_verify_erased, self._path, dialog_ids, truncated)

    async def expired(self, at: int, limit: int) -> list[str]:
        sql = "SELECT dialog_id FROM dialogs WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
        return await self._database.read(lambda db: [row[0] for row in db.execute(sql, (at, limit))])

    async def retract(self, dialog_id: str, owner: str, customer: str, note: Note | None = None) -> None:
        await self._database.writer.erase(lambda db: self._retract(db, dialog_id, owner, customer, note))

    async def find(self, dialog_id: str) -> SealedDialog | Tombstone | None:
        return await self._database.read(lambda db: _find(db, dialog_id))

    async def watermark(self) -> int:
        sql = "SELECT coalesce(max(id), 0) FROM dialogs"
        return await self._database.read(lambda db: db.execute(sql).fetchone()[0])

    async def messages(self, selection: Selection, opener: MessagesOpener[T]) -> T:
        def page(db: sqlite3.Connection) -> T:
            rows = pages.messages(db, selection)
            return opener(rows, dialogs.by_numbers(db, sorted({row.dialog for row in rows})))

        return await self._database.read(page)

    async def dialogs(self, selection: Selection, opener: DialogsOpener[T], *, heads: bool = False) -> T:
        def page(db: sqlite3.Connection) -> T:
            rows = pages.dialogs(db, selection)
            return opener(dialogs.with_heads(db, rows) if heads else rows)

        return await self._database.read(page)

    async def probe(self) -> None:
        if self._database.writer.in_doubt or self._clock.monotonic() - self._database.writer.last_success > _FRESH_S:
            stamp = to_micros(self._clock.now()).to_bytes(8, "big")
            await self._database.writer.write(
                lambda db: db.execute("INSERT OR REPLACE INTO facts VALUES ('last probe', ?)", (stamp,))
            )

    async def _erasing(self, work: Callable[[sqlite3.Connection], Tombstone | None]) -> Erasure | None:
        stone, truncated = await self._database.writer.erase(work)
        return Erasure(stone, truncated) if stone else None

    def _keep(self, db: sqlite3.Connection, candidate: Candidate) -> SealedDialog:
        dialog_id = candidate.sealed.record.dialog_id
        found = dialogs.find(db, dialog_id)
        if found:
            return _meet(db, found, candidate)
        if stone := dialogs.tombstone(db, dialog_id):
            raise Erased(dialog_id, from_micros(stone.erased_at))
        wrapped = candidate.wrapped_since(epochs.current(db))
        now = to_micros(self._clock.now())
        dialog = msgspec.structs.replace(candidate.sealed, stored_at=now, wrapped=wrapped)
        number = dialogs.insert(db, dialog)
        counters.count(db, number, 1)
        return msgspec.structs.replace(dialog, number=number)

    def _erase(
        self,
        db: sqlite3.Connection,
        dialog_id: str,
        reason: Reason,
        owner: str | None,
        customer: str | None,
        note: Note | None,
    ) -> Tombstone | None:
        found = dialogs.find(db, dialog_id)
        if found is None:
            stone = dialogs.tombstone(db, dialog_id)
            return stone if stone and owner in (None, stone.owner) else None
        number, dialog = found
        if owner not in (None, dialog.record.owner) or customer not in (None, dialog.record.customer):
            return None
        stone = self._tombstone_of(number, dialog, reason)
        self._ledger.add(Entry(dialog_id, reason, stone.erased_at))
        counters.count(db, number, -1)
        dialogs.shred(db, number, SHREDDED)
        dialogs.bury(db, stone)
        access_log.forget(db, dialog.record.customer)
        if note is not None:
            access_log.append(db, note.about(number))
        return stone

    def _retract(self, db: sqlite3.Connection, dialog_id: str, owner: str, customer: str, note: Note | None) -> None:
        known = dialogs.find(db, dialog_id) or dialogs.tombstone(db, dialog_id)
        if known:
            self._erase(db, dialog_id, "retracted", owner, customer, note)
        else:
            now = to_micros(self._clock.now())
            dialogs.bury(db, Tombstone(dialog_id=dialog_id, owner=owner, reason="retracted", erased_at=now))

    def _tombstone_of(self, number: int, dialog: SealedDialog, reason: Reason) -> Tombstone:
        return Tombstone(
            dialog_id=dialog.record.dialog_id,
            owner=dialog.record.owner,
            reason=reason,
            erased_at=to_micros(self._clock.now()),
            messages=dialog.messages,
            decided_at=dialog.record.decided_at,
            stored_at=dialog.stored_at,
            notice_sha256=dialog.record.notice_sha256,
            purposes=dialog.record.purposes,
            number=number,
            receipt_sha256=hashlib.sha256(dialog.receipt.encode()).digest(),
            withdrawal_hash=dialog.withdrawal_hash,
        )


def prepare(path: Path) -> list[Migration]:
    """Bring the database to this program's schema, making it if there is none; return the steps that this took.

    Raises:
        BadDatabase: If the schema is newer, the file is no database, or SQLite is one that can corrupt it.
    """
    try:
        with closing(connect(path)) as db:
            return migrate(db)
    except sqlite3.OperationalError as error:
        raise BadDatabase(f"{path} cannot be opened ({error}); see that its folder exists and can be written") from None
    except sqlite3.DatabaseError:
        raise BadDatabase(f"{path} is no SQLite database; name another file with --database") from None


def _find(db: sqlite3.Connection, dialog_id: str) -> SealedDialog | Tombstone | None:
    found = dialogs.find(db, dialog_id)
    if found is None:
        return dialogs.tombstone(db, dialog_id)
    number, dialog = found
    return msgspec.structs.replace(dialog, heads=dialogs.heads(db, number), number=number)


def _verify_erased(path: Path, dialog_ids: Sequence[str], truncated: bool) -> Verification:
    with closing(connect(path, read_only=True)) as db:
        left = [dialogs.keys_and_rows_left(db, dialog_id, SHREDDED) for dialog_id in dialog_ids]
    return Verification(sum(keys for keys, _ in left), sum(rows for _, rows in left), truncated)


def _meet(db: sqlite3.Connection, found: tuple[int, SealedDialog], candidate: Candidate) -> SealedDialog:
    number, stored = found
    kept = candidate.meet(stored)
    if kept is not stored:
        counters.count(db, number, -1)
        dialogs.narrow(db, number, kept)
        counters.count(db, number, 1)
    return msgspec.structs.replace(kept, number=number)
