"""Dialogs in a PostgreSQL database: load what a rule needs, ask the rule, apply its plan.

`archive.rules` decides; nothing here does. The dialogs of a batch whose ids were never used are inserted together, by a
few statements for all of them. Every other one is looked up, and takes its turn alone.

Threads: statements run on the event loop. The dialogs of a batch are sealed in a worker thread before its transaction.
The rules that decrypt, and what opens a page, run in one while the transaction waits for them.

Races, and the line that closes each:

(R1) The same dialog is stored twice at the same time, by two nodes after a reconnect: look-up, comparison and insert
     are one job of the writer, whose transaction has the write lock; the second finds the first's row.
(R2) A new epoch of the master key begins while a dialog waits to be stored: the epoch is read in the storing
     transaction, and the candidate wraps its key again if it was wrapped under an earlier one.
(R3) The process crashes during an erasure, a retraction or a narrowing: the fsync of the ledger's entry comes before
     COMMIT (`writer`, R2). A COMMIT that fails afterwards leaves the entry, so the next start does it after all.
(R4) A dialog is erased between two pages: readers hold no transaction between calls, so the next page does not have it.
(R5) The newest dialog is erased between two walks in commit order: the horizon is the last number given out, which
     never goes back, so no later dialog gets a number below it.
(R6) The database was put back to an earlier state: numbers continue above all that the ledger says may have been given
     out.
(R7) A page was read at a replica, and one of its dialogs was erased or narrowed since: the primary is asked afterwards.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from ...access_log.store import Note
from ...archive import rules
from ...archive.query import Horizon, Selection
from ...archive.store import (
    Candidate,
    CustomerDialog,
    DialogsOpener,
    ErasureOutcome,
    ExpiryDay,
    MessagesOpener,
    Narrower,
    Reason,
    Residue,
    SealedDialog,
    StoredDialog,
    Tombstone,
)
from ...auth.read_scope import EVERYTHING, ReadScope
from ...clock import Clock, to_micros
from ...errors import Refusal, StorageFailed
from ...keys.vault import SHREDDED
from ...privacy.ledger import ErasedEntry, Ledger, NarrowedEntry, RetractedEntry
from . import access_log, counters, listing, numbers
from . import dialog_rows as rows
from .connection import Connection
from .database import Database
from .listing import Page
from .purposes import purposes_of

T = TypeVar("T")

_Kept: TypeAlias = StoredDialog | Exception
"""What is stored, or why it is not."""


class PostgresDialogs:
    """The `DialogStore` of a PostgreSQL database."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger

    async def keep(self, candidate: Candidate) -> StoredDialog:
        return await self._database.writer.write_together(self._keep_all, candidate, lambda: candidate.sealed)

    async def erase(
        self,
        dialog_id: str,
        reason: Reason,
        *,
        owner: str | None = None,
        customer: str | None = None,
        scope: ReadScope = EVERYTHING,
        note: Note | None = None,
    ) -> ErasureOutcome | None:
        return await self._erasing(lambda db: self._erase(db, dialog_id, reason, owner, customer, scope, note))

    async def withdraw(self, withdrawal_hashes: Sequence[bytes], note: Note | None = None) -> ErasureOutcome | None:
        async def erase(db: Connection) -> Tombstone | None:
            dialog_id = await rows.of_withdrawal(db, withdrawal_hashes)
            if dialog_id is None:
                return None
            return await self._erase(db, dialog_id, "withdrawn", None, None, EVERYTHING, note)

        return await self._erasing(erase)

    async def retract(self, dialog_id: str, owner: str, customer: str, mark: bytes, note: Note | None = None) -> None:
        await self._database.writer.write(lambda db: self._retract(db, dialog_id, owner, customer, mark, note))

    async def of_withdrawal(self, withdrawal_hashes: Sequence[bytes]) -> StoredDialog | Tombstone | None:
        async def find(db: Connection) -> StoredDialog | Tombstone | None:
            dialog_id = await rows.of_withdrawal(db, withdrawal_hashes)
            return None if dialog_id is None else await _load(db, dialog_id)

        return await self._database.look_up(find)

    async def narrow(self, dialog_id: str, narrower: Narrower, note: Note | None = None) -> bool:
        return await self._database.writer.write(lambda db: self._narrow(db, dialog_id, narrower, note))

    async def find(self, dialog_id: str) -> StoredDialog | Tombstone | None:
        return await self._database.look_up(lambda db: _load(db, dialog_id))

    async def find_all(self, dialog_ids: Sequence[str]) -> dict[str, StoredDialog | Tombstone]:
        return await self._database.read(lambda db: _load_all(db, dialog_ids))

    async def of_customer(self, customer: str) -> list[CustomerDialog]:
        sql = (
            "SELECT id, dialog_id, messages, purposes, stored_at, expires_at FROM dialogs"
            " WHERE customer = $1 ORDER BY id"
        )
        found = await self._database.fetch(sql, customer)
        return [
            CustomerDialog(number, name, messages, purposes_of(purposes), *times)
            for number, name, messages, purposes, *times in found
        ]

    async def still_stored(self, dialog_ids: Sequence[str]) -> list[str]:
        sql = "SELECT dialog_id FROM dialogs WHERE dialog_id = ANY($1::text[])"
        return [row[0] for row in await self._database.fetch(sql, list(dialog_ids))]

    async def residue(self, dialog_ids: Sequence[str]) -> Residue:
        return Residue(*await self._database.read(lambda db: rows.left(db, dialog_ids, SHREDDED)))

    async def expired(self, at: int, limit: int) -> list[str]:
        sql = "SELECT dialog_id FROM dialogs WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2"
        return [row[0] for row in await self._database.fetch(sql, at, limit)]

    async def first_expiry(self) -> int | None:
        return await self._database.fetchval("SELECT min(expires_at) FROM dialogs")

    async def expiring(self) -> list[ExpiryDay]:
        sql = (
            "SELECT (date '1970-01-01' + (expires_at / 86400000000)::int)::text AS day, count(*) FROM dialogs"
            " GROUP BY day ORDER BY day"
        )
        return [ExpiryDay(*row) for row in await self._database.fetch(sql)]

    async def count_expired(self, at: int) -> int:
        return await self._database.fetchval("SELECT count(*) FROM dialogs WHERE expires_at <= $1", at)

    async def horizon(self) -> Horizon:
        return await self._database.look_up(listing.horizon_of)

    async def list_messages(self, selection: Selection, opener: MessagesOpener[T]) -> tuple[T, Horizon]:
        def opened(page: Page) -> T:
            return opener(page.rows, page.dialogs, page.has_more)

        return await self._listed(selection.horizon, lambda db: listing.messages(db, selection), opened)

    async def list_dialogs(
        self, selection: Selection, opener: DialogsOpener[T], *, texts: bool = False, annotations: bool = False
    ) -> tuple[T, Horizon]:
        def opened(page: Page) -> T:
            return opener(list(page.dialogs.values()), page.has_more)

        def select(db: Connection) -> Awaitable[Page]:
            return listing.dialogs(db, selection, texts=texts, annotated=annotations)

        return await self._listed(selection.horizon, select, opened)

    async def _listed(
        self, horizon: Horizon | None, select: Callable[[Connection], Awaitable[Page]], opener: Callable[[Page], T]
    ) -> tuple[T, Horizon]:
        """Return what the opener makes of a page: one of the replica's that the primary confirms, or the primary's."""

        async def opened(db: Connection, page: Page) -> tuple[T, Horizon]:
            # Opened in the transaction that read the keys: see `archive.opening`, R1.
            return await asyncio.to_thread(opener, page), page.horizon

        async def confirmed(db: Connection, page: Page) -> tuple[T, Horizon] | None:
            found = await listing.confirmed(db, page)  # (R7)
            return None if found is None else await opened(db, found)

        async def fresh(db: Connection) -> tuple[T, Horizon]:
            return await opened(db, await select(db))

        if (page := await self._database.read_replica(select, horizon)) is not None:
            result = await self._database.read(lambda db: confirmed(db, page))
            if result is not None:
                return result
        return await self._database.read(fresh)  # (R4) its transaction ends with this page

    async def _erasing(self, work: Callable[[Connection], Awaitable[Tombstone | None]]) -> ErasureOutcome | None:
        tombstone = await self._database.writer.write(work)
        # Until its epoch ends, the database's files may hold an earlier version of the key's row.
        return ErasureOutcome(tombstone, tombstone.complete) if tombstone else None

    async def _keep_all(self, db: Connection, candidates: Sequence[Candidate]) -> Sequence[_Kept]:
        """Store the dialogs of a batch; return for each what is stored, or why it is not."""
        names = [candidate.sealed.record.dialog_id for candidate in candidates]
        first: dict[str, Candidate] = {}
        for name, candidate in zip(names, candidates, strict=True):
            first.setdefault(name, candidate)  # a second one of this id is compared with the first
        sealed = {name: candidate.sealed for name, candidate in first.items()}
        batch, now = await rows.begin_batch(db, sealed, above=self._ledger.numbered), self._now()  # (R1, R2, R6)
        self._ledger.reach(batch.last)
        new = {name: candidate for name, candidate in first.items() if name not in batch.used}
        kept = await self._insert_all(db, new, batch, now)
        return [
            kept[name] if new.get(name) is candidate else await self._keep(db, candidate, batch.epoch, now)
            for name, candidate in zip(names, candidates, strict=True)
        ]

    async def _insert_all(
        self, db: Connection, new: Mapping[str, Candidate], batch: rows.Batch, now: int
    ) -> Mapping[str, _Kept]:
        """Store dialogs whose ids were never used; return for each id what is stored, or why it is not."""
        sealed = {name: _sealed(candidate, batch.epoch, now) for name, candidate in new.items()}
        whole = [dialog for dialog in sealed.values() if isinstance(dialog, SealedDialog)]
        stored = await rows.insert(db, whole, now, batch.last, batch.kinds) if whole else []
        failed = {name: why for name, why in sealed.items() if not isinstance(why, SealedDialog)}
        return {**failed, **{dialog.record.dialog_id: dialog for dialog in stored}}

    async def _insert(self, db: Connection, sealed: SealedDialog, now: int) -> StoredDialog:
        number = await numbers.draw(db, "dialogs", 1, above=self._ledger.numbered)  # (R6)
        self._ledger.reach(number)
        (dialog,) = await rows.insert(db, [sealed], now, number)
        return dialog

    async def _keep(self, db: Connection, candidate: Candidate, epoch: int, now: int) -> _Kept:
        """Store a dialog whose id may be known."""
        record = candidate.sealed.record
        stored, tombstone = await _found(db, record.dialog_id)
        retraction = await rows.retraction(db, record.dialog_id, record.owner, candidate.mark)
        try:
            # It may open the stored dialog, and seal it again.
            plan = await asyncio.to_thread(rules.on_keep, stored, tombstone, retraction, candidate, epoch, now)
        except Refusal as refusal:
            return refusal
        match plan:
            case rules.Insert(wrapped, stored_at):
                sealed = msgspec.structs.replace(candidate.sealed, wrapped=wrapped)
                dialog = await self._insert(db, sealed, stored_at)
            case rules.Keep(dialog):
                pass
            case rules.Narrow(dialog):
                assert stored is not None
                await self._replace(db, stored, dialog)
        return dialog

    async def _narrow(self, db: Connection, dialog_id: str, narrower: Narrower, note: Note | None) -> bool:
        stored, _ = await _found(db, dialog_id)
        narrowed = None if stored is None else await asyncio.to_thread(narrower, stored)
        if stored is None or narrowed is None:
            return False
        await self._replace(db, stored, narrowed)
        await access_log.append_if(db, note and note.about(narrowed.number))
        return True

    async def _replace(self, db: Connection, stored: StoredDialog, dialog: StoredDialog) -> None:
        """Replace a stored dialog by itself under a narrower consent."""
        await counters.count(db, [stored], -1)  # the counters are kept by purposes, which change here
        await rows.narrow(db, dialog)
        await counters.count(db, [dialog], 1)
        await counters.forget(db, dialog)
        record, now = dialog.record, to_micros(self._clock.now())
        self._ledger.add(NarrowedEntry(record.dialog_id, record.purposes, now))  # (R3)

    async def _erase(
        self,
        db: Connection,
        dialog_id: str,
        reason: Reason,
        owner: str | None,
        customer: str | None,
        scope: ReadScope,
        note: Note | None,
    ) -> Tombstone | None:
        stored, tombstone = await _found(db, dialog_id)
        plan = rules.on_erase(
            stored, tombstone, reason=reason, owner=owner, customer=customer, now=self._now(), scope=scope
        )
        return await self._apply(db, stored, plan, note)

    async def _retract(
        self, db: Connection, dialog_id: str, owner: str, customer: str, mark: bytes, note: Note | None
    ) -> None:
        stored, tombstone = await _found(db, dialog_id)
        plan = rules.on_retract(
            stored, tombstone, dialog_id=dialog_id, owner=owner, customer=customer, mark=mark, now=self._now()
        )
        if isinstance(plan, rules.Block):
            await rows.insert_retraction(db, plan.retraction)
            self._ledger.add(RetractedEntry(plan.retraction))  # (R3)
        else:
            await self._apply(db, stored, plan, note)

    async def _apply(
        self, db: Connection, stored: StoredDialog | None, plan: rules.ErasePlan, note: Note | None
    ) -> Tombstone | None:
        match plan:
            case rules.Shred(number, customer, tombstone):
                assert stored is not None
                await counters.count(db, [stored], -1)
                await counters.forget(db, stored)
                await rows.shred(db, number, SHREDDED)
                self._ledger.add(ErasedEntry(tombstone, await rows.insert_tombstone(db, tombstone)))  # (R3)
                await access_log.erase_values(db, customer)
                await access_log.append_if(db, note and note.about(number))
                return tombstone
            case rules.Done(tombstone):
                return tombstone
            case None:
                return None

    def _now(self) -> int:
        return to_micros(self._clock.now())


def _sealed(candidate: Candidate, epoch: int, now: int) -> SealedDialog | Exception:
    """Return what is to be inserted of a new dialog, or why it cannot be: it fails alone."""
    try:
        plan = rules.on_keep(None, None, None, candidate, epoch, now)
        assert isinstance(plan, rules.Insert)  # nothing stored is a new dialog
        return msgspec.structs.replace(candidate.sealed, wrapped=plan.wrapped)
    except Refusal as refusal:
        return refusal
    except Exception:  # noqa: BLE001 - whatever it is, it is this dialog's, and its neighbours are stored
        return StorageFailed()


async def _load(db: Connection, dialog_id: str) -> StoredDialog | Tombstone | None:
    return await rows.find(db, dialog_id) or await rows.tombstone(db, dialog_id)


async def _load_all(db: Connection, dialog_ids: Sequence[str]) -> dict[str, StoredDialog | Tombstone]:
    stored = {dialog.record.dialog_id: dialog for dialog in await rows.find_all(db, dialog_ids)}
    others = [name for name in dialog_ids if name not in stored]
    erased = await rows.tombstones(db, others) if others else []
    return {**stored, **{tombstone.dialog_id: tombstone for tombstone in erased}}


async def _found(db: Connection, dialog_id: str) -> tuple[StoredDialog | None, Tombstone | None]:
    """Return the stored dialog or its tombstone, at most one of them, as the rules take them."""
    found = await _load(db, dialog_id)
    return (None, found) if isinstance(found, Tombstone) else (found, None)
