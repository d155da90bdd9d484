"""The store on SQLite: a laptop's, and one machine's.

One writer commits in groups; readers have connections of their own and read in short transactions.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from ..clock import Clock, from_micros, to_micros
from ..consent import Wording
from ..errors import BadDatabase, Conflict, Erased
from ..query import Selection
from ..vault import SHREDDED
from . import (
    Candidate,
    Credential,
    DialogsOpener,
    Erasure,
    MessagesOpener,
    PrivacyRequest,
    Reason,
    SealedDialog,
    Tombstone,
    Verification,
    statements,
)
from .lane import Lane, connect, open_lane, sqlite3
from .ledger import Entry, Ledger
from .migrations import Migration, migrate
from .writer import Writer

T = TypeVar("T")

READERS: Final = 4
_FRESH_S: Final = 5.0
"""How old the last write may be for the store to count as ready."""


class SQLiteStore:
    """The `Store` on one SQLite database."""

    def __init__(self, path: Path, writer: Writer, readers: Sequence[Lane], clock: Clock, ledger: Ledger) -> None:
        self._path = path
        self._ledger = ledger
        self._writer = writer
        self._clock = clock
        self._readers = readers
        self._idle: asyncio.LifoQueue[Lane] = asyncio.LifoQueue()
        for lane in readers:
            self._idle.put_nowait(lane)

    @classmethod
    async def open(cls, path: Path, clock: Clock, ledger: Ledger) -> "SQLiteStore":
        """Return the store, at this program's schema. Every erasure is in the ledger before it is done.

        The ledger is the store's from now on, to write to and to close.

        Raises:
            BadDatabase: If the schema is newer, the file is no database, or SQLite is one that can corrupt it.
        """
        await asyncio.to_thread(prepare, path)
        writer = await Writer.open(path, clock, ledger.sync)
        return cls(path, writer, [await open_lane(path, read_only=True) for _ in range(READERS)], clock, ledger)

    async def close(self) -> None:
        await self._writer.close()
        for lane in self._readers:
            await lane.close()
        self._ledger.close()

    async def keep(self, candidate: Candidate) -> SealedDialog:
        return await self._writer.write(lambda db: self._keep(db, candidate))

    async def erase(
        self, dialog_id: str, reason: Reason, *, owner: str | None = None, customer: str | None = None
    ) -> Erasure | None:
        stone, truncated = await self._writer.erase(lambda db: self._erase(db, dialog_id, reason, owner, customer))
        return Erasure(stone, truncated) if stone else None

    async def withdraw(self, withdrawal_hash: bytes) -> Erasure | None:
        def erase(db: sqlite3.Connection) -> Tombstone | None:
            dialog_id = statements.of_withdrawal(db, withdrawal_hash)
            return self._erase(db, dialog_id, "withdrawn", None, None) if dialog_id else None

        stone, truncated = await self._writer.erase(erase)
        return Erasure(stone, truncated) if stone else None

    async def dialogs_of(self, customer: str) -> dict[str, int]:
        sql = "SELECT dialog_id, messages FROM dialogs WHERE customer = ? ORDER BY id"
        return await self._read(lambda db: dict(db.execute(sql, (customer,)).fetchall()))

    async def still_held(self, dialog_ids: Sequence[str]) -> list[str]:
        sql = "SELECT dialog_id FROM dialogs WHERE dialog_id IN (SELECT value FROM json_each(?))"
        return await self._read(lambda db: [row[0] for row in db.execute(sql, (json.dumps(dialog_ids),))])

    async def verify_erased(self, dialog_ids: Sequence[str]) -> Verification:
        truncated = await self._writer.truncate()
        return await asyncio.to_thread(_verify_erased, self._path, dialog_ids, truncated)

    async def add_request(self, request: PrivacyRequest) -> None:
        await self._writer.write(lambda db: statements.add_request(db, request))

    async def request(self, request_id: str) -> PrivacyRequest | None:
        return await self._read(lambda db: statements.request(db, "id = ?", (request_id,)))

    async def repeated_request(self, repeat_key: bytes, since: int) -> PrivacyRequest | None:
        where = "repeat_key = ? AND received_at >= ? ORDER BY received_at DESC"
        return await self._read(lambda db: statements.request(db, where, (repeat_key, since)))

    async def expired(self, at: int, limit: int) -> list[str]:
        sql = "SELECT dialog_id FROM dialogs WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
        return await self._read(lambda db: [row[0] for row in db.execute(sql, (at, limit))])

    async def retract(self, dialog_id: str, owner: str, customer: str) -> None:
        await self._writer.erase(lambda db: self._retract(db, dialog_id, owner, customer))

    async def find(self, dialog_id: str) -> SealedDialog | Tombstone | None:
        return await self._read(lambda db: _find(db, dialog_id))

    async def watermark(self) -> int:
        return await self._read(lambda db: db.execute("SELECT coalesce(max(id), 0) FROM dialogs").fetchone()[0])

    async def messages(self, selection: Selection, opener: MessagesOpener[T]) -> T:
        def page(db: sqlite3.Connection) -> T:
            rows = statements.messages(db, selection)
            return opener(rows, statements.by_numbers(db, sorted({row.dialog for row in rows})))

        return await self._read(page)

    async def dialogs(self, selection: Selection, opener: DialogsOpener[T]) -> T:
        return await self._read(lambda db: opener(statements.dialogs(db, selection)))

    async def add_notice(self, wordings: Sequence[Wording]) -> None:
        now = to_micros(self._clock.now())
        await self._writer.write(lambda db: _add_notice(db, wordings, now))

    async def retire_notice(self, notice_id: str) -> bool:
        now = to_micros(self._clock.now())
        sql = "UPDATE notices SET retired_at = coalesce(retired_at, ?) WHERE notice = ?"
        return await self._writer.write(lambda db: db.execute(sql, (now, notice_id)).rowcount > 0)

    async def notices(self) -> list[Wording]:
        return await self._read(statements.notices)

    async def facts(self) -> dict[str, bytes]:
        return await self._read(lambda db: dict(db.execute("SELECT name, value FROM facts").fetchall()))

    async def state(self, facts: Mapping[str, bytes]) -> None:
        await self._writer.write(
            lambda db: db.executemany("INSERT INTO facts VALUES (?, ?) ON CONFLICT DO NOTHING", list(facts.items()))
        )

    async def credentials(self) -> list[Credential]:
        return await self._read(statements.credentials)

    async def credential(self, key_id: str) -> Credential | None:
        return await self._read(lambda db: statements.credential(db, key_id))

    async def add_credential(self, credential: Credential) -> None:
        await self._writer.write(lambda db: statements.add_credential(db, credential))

    async def revoke_credential(self, key_id: str) -> bool:
        now = to_micros(self._clock.now())
        sql = "UPDATE credentials SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?"
        return await self._writer.write(lambda db: db.execute(sql, (now, key_id)).rowcount == 1)

    async def probe(self) -> None:
        if self._writer.in_doubt or self._clock.monotonic() - self._writer.last_success > _FRESH_S:
            stamp = to_micros(self._clock.now()).to_bytes(8, "big")
            await self._writer.write(
                lambda db: db.execute("INSERT OR REPLACE INTO facts VALUES ('last probe', ?)", (stamp,))
            )

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        lane = await self._idle.get()
        try:
            return await lane.run(lambda db: _in_snapshot(db, work))
        finally:
            self._idle.put_nowait(lane)

    def _keep(self, db: sqlite3.Connection, candidate: Candidate) -> SealedDialog:
        dialog_id = candidate.sealed.record.dialog_id
        found = statements.find(db, dialog_id)
        if found:
            return _meet(db, found, candidate)
        if stone := statements.tombstone(db, dialog_id):
            raise Erased(dialog_id, from_micros(stone.erased_at))
        dialog = msgspec.structs.replace(candidate.sealed, stored_at=to_micros(self._clock.now()))
        statements.insert(db, dialog)
        return dialog

    def _erase(
        self, db: sqlite3.Connection, dialog_id: str, reason: Reason, owner: str | None, customer: str | None
    ) -> Tombstone | None:
        found = statements.find(db, dialog_id)
        if found is None:
            stone = statements.tombstone(db, dialog_id)
            return stone if stone and owner in (None, stone.owner) else None
        number, dialog = found
        if owner not in (None, dialog.record.owner) or customer not in (None, dialog.record.customer):
            return None
        stone = self._tombstone_of(number, dialog, reason)
        self._ledger.add(Entry(dialog_id, reason, stone.erased_at))
        statements.shred(db, number, SHREDDED)
        statements.bury(db, stone)
        return stone

    def _retract(self, db: sqlite3.Connection, dialog_id: str, owner: str, customer: str) -> None:
        known = statements.find(db, dialog_id) or statements.tombstone(db, dialog_id)
        if known:
            self._erase(db, dialog_id, "retracted", owner, customer)
        else:
            now = to_micros(self._clock.now())
            statements.bury(db, Tombstone(dialog_id=dialog_id, owner=owner, reason="retracted", erased_at=now))

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


def _in_snapshot(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run reads that must agree with each other; the transaction ends with the call, and holds up no truncation."""
    db.execute("BEGIN")
    try:
        return work(db)
    finally:
        db.execute("ROLLBACK")


def _find(db: sqlite3.Connection, dialog_id: str) -> SealedDialog | Tombstone | None:
    found = statements.find(db, dialog_id)
    if found is None:
        return statements.tombstone(db, dialog_id)
    number, dialog = found
    return msgspec.structs.replace(dialog, heads=statements.heads(db, number))


def _add_notice(db: sqlite3.Connection, wordings: Sequence[Wording], now: int) -> None:
    known = {wording.sha256 for wording in statements.notices(db) if wording.id == wordings[0].id}
    if known and known != {wording.sha256 for wording in wordings}:
        raise Conflict
    if not known:
        statements.add_notice(db, wordings, now)


def _verify_erased(path: Path, dialog_ids: Sequence[str], truncated: bool) -> Verification:
    with closing(connect(path, read_only=True)) as db:
        left = [statements.keys_and_rows_left(db, dialog_id, SHREDDED) for dialog_id in dialog_ids]
    return Verification(sum(keys for keys, _ in left), sum(rows for _, rows in left), truncated)


def _meet(db: sqlite3.Connection, found: tuple[int, SealedDialog], candidate: Candidate) -> SealedDialog:
    number, stored = found
    kept = candidate.meet(stored)
    if kept is not stored:
        statements.narrow(db, number, kept)
    return kept
