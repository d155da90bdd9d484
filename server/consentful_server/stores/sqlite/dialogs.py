"""Dialogs in an SQLite database: load what a rule needs, ask the rule, apply its plan.

`archive.rules` decides; nothing here does. A dialog's states, and what moves it:

    never stored ──keep──► stored ──keep, fewer purposes──► stored (narrowed)
         │                   │
         │ retract           │ erase, withdraw, retract
         ▼                   ▼
    retraction, for      tombstone; key overwritten, rows deleted, entry in the feed of erasures
    one grant alone

Threads: the methods run on the event loop; what they pass to the writer or to `read` runs on a connection's thread. The
candidate of `keep` is used on the writer's thread while its connection waits for the outcome, so its dialog does not
change meanwhile. An opener runs on a reader's thread inside the read transaction.

Races, and the line that closes each:

(R1) The same dialog is stored twice at the same time, by two nodes after a reconnect: look-up, comparison and insert
     are one job of the writer, whose transaction holds the write lock; the second finds the first's row.
(R2) A new epoch of the master key begins while a dialog waits to be stored: the epoch is read in the storing
     transaction, and the candidate wraps its key again if it was wrapped under an earlier one.
(R3) The process crashes during an erasure, a retraction or a narrowing: the fsync of the ledger's entry comes before
     COMMIT (`writer`, R2). A COMMIT that fails afterwards leaves the entry, so the next start does it after all.
(R4) A dialog is erased between two pages: readers hold no transaction between calls, so the next page does not have it.
(R5) The newest dialog is erased between two walks in commit order: the horizon comes from AUTOINCREMENT's own counter,
     which never goes back, so no later dialog gets a number below it.
(R6) The database was put back to an earlier state: the first dialog that this process stores gets a number above all
     that the ledger says may have been given out. Until that is committed, each transaction does it again.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from ...access_log.store import Note
from ...archive import rules
from ...archive.query import MAX_PAGE_BYTES, Horizon, Selection
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
from ...errors import Refusal
from ...keys.vault import SHREDDED
from ...privacy.ledger import ErasedEntry, Ledger, NarrowedEntry, RetractedEntry
from . import access_log, counters, epochs, inserts, pages
from . import dialog_rows as rows
from .annotations import with_annotations
from .connection import connect, sqlite3
from .database import Database
from .remains import move_on

T = TypeVar("T")

_SHORT: Final = 200
"""Rows of a page that is read together with others."""


class SQLiteDialogs:
    """The `DialogStore` of an SQLite database."""

    def __init__(self, path: Path, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._path = path
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._has_moved_on = False

    async def keep(self, candidate: Candidate) -> StoredDialog:
        stored: StoredDialog = await self._database.writer.write_together(
            self._keep_all, candidate, lambda: candidate.sealed
        )
        self._has_moved_on = True  # (R6)
        return stored

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
        def erase(db: sqlite3.Connection) -> Tombstone | None:
            dialog_id = rows.of_withdrawal(db, withdrawal_hashes)
            return self._erase(db, dialog_id, "withdrawn", None, None, EVERYTHING, note) if dialog_id else None

        return await self._erasing(erase)

    async def retract(self, dialog_id: str, owner: str, customer: str, mark: bytes, note: Note | None = None) -> None:
        await self._database.writer.erase(lambda db: self._retract(db, dialog_id, owner, customer, mark, note))

    async def of_withdrawal(self, withdrawal_hashes: Sequence[bytes]) -> StoredDialog | Tombstone | None:
        def find(db: sqlite3.Connection) -> StoredDialog | Tombstone | None:
            dialog_id = rows.of_withdrawal(db, withdrawal_hashes)
            return None if dialog_id is None else _load(db, dialog_id, heads=True)

        return await self._database.look_up(find)

    async def narrow(self, dialog_id: str, narrower: Narrower, note: Note | None = None) -> bool:
        return await self._database.writer.write(lambda db: self._narrow(db, dialog_id, narrower, note), erases=True)

    async def find(self, dialog_id: str) -> StoredDialog | Tombstone | None:
        return await self._database.look_up(lambda db: _load(db, dialog_id, heads=True))

    async def find_all(self, dialog_ids: Sequence[str]) -> dict[str, StoredDialog | Tombstone]:
        return await self._database.read(lambda db: _load_all(db, dialog_ids))

    async def of_customer(self, customer: str) -> list[CustomerDialog]:
        sql = (
            "SELECT id, dialog_id, messages, purposes, stored_at, expires_at FROM dialogs"
            " WHERE customer = ? ORDER BY id"
        )

        def found(db: sqlite3.Connection) -> list[CustomerDialog]:
            return [
                CustomerDialog(number, dialog_id, messages, tuple(json.loads(purposes)), *times)
                for number, dialog_id, messages, purposes, *times in db.execute(sql, (customer,))
            ]

        return await self._database.read(found)

    async def still_stored(self, dialog_ids: Sequence[str]) -> list[str]:
        sql = "SELECT dialog_id FROM dialogs WHERE dialog_id IN (SELECT value FROM json_each(?))"
        return await self._database.read(lambda db: [row[0] for row in db.execute(sql, (json.dumps(dialog_ids),))])

    async def residue(self, dialog_ids: Sequence[str]) -> Residue:
        truncated = await self._database.writer.truncate()
        return await asyncio.to_thread(_residue, self._path, dialog_ids, truncated)

    async def expired(self, at: int, limit: int) -> list[str]:
        sql = "SELECT dialog_id FROM dialogs WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
        return await self._database.read(lambda db: [row[0] for row in db.execute(sql, (at, limit))])

    async def first_expiry(self) -> int | None:
        sql = "SELECT min(expires_at) FROM dialogs"
        return await self._database.look_up(lambda db: db.execute(sql).fetchone()[0])

    async def expiring(self) -> list[ExpiryDay]:
        sql = "SELECT date(expires_at / 1000000, 'unixepoch') AS day, count(*) FROM dialogs GROUP BY day ORDER BY day"
        return await self._database.read(lambda db: [ExpiryDay(*row) for row in db.execute(sql)])

    async def count_expired(self, at: int) -> int:
        sql = "SELECT count(*) FROM dialogs WHERE expires_at <= ?"
        return await self._database.read(lambda db: db.execute(sql, (at,)).fetchone()[0])

    async def horizon(self) -> Horizon:
        return await self._database.look_up(_horizon)

    async def list_messages(self, selection: Selection, opener: MessagesOpener[T]) -> tuple[T, Horizon]:
        def page(db: sqlite3.Connection) -> tuple[T, Horizon]:
            horizon = _horizon(db) if selection.horizon is None else selection.horizon
            found = pages.messages(db, _one_more(selection, horizon))
            shown = found[: selection.limit]
            numbers = list(dict.fromkeys([row.dialog for row in shown]))
            # Opened in the transaction that read the keys: see `archive.opening`, R1.
            listed, end = rows.by_numbers(db, numbers, most_bytes=MAX_PAGE_BYTES)
            if end is not None:
                shown = shown[: next(place for place, row in enumerate(shown) if row.dialog == end)]
            return opener(shown, listed, len(shown) < len(found)), horizon

        # (R4) its transaction ends with this page, or with a few of others
        return await (self._database.read_page(page) if _is_short(selection) else self._database.read(page))

    async def list_dialogs(
        self, selection: Selection, opener: DialogsOpener[T], *, texts: bool = False, annotations: bool = False
    ) -> tuple[T, Horizon]:
        def page(db: sqlite3.Connection) -> tuple[T, Horizon]:
            horizon = _horizon(db) if selection.horizon is None else selection.horizon
            found = pages.dialogs(db, _one_more(selection, horizon))
            shown = found[: selection.limit]
            by_number, end = rows.by_numbers(db, shown, texts=texts, most_bytes=MAX_PAGE_BYTES)
            listed, more = list(by_number.values()), end is not None or len(shown) < len(found)
            if annotations:
                listed = with_annotations(db, listed, selection.filter.terms)
            return opener(rows.with_heads(db, listed) if texts else listed, more), horizon

        return await self._database.read(page)  # (R4)

    async def _erasing(self, work: Callable[[sqlite3.Connection], Tombstone | None]) -> ErasureOutcome | None:
        tombstone, truncated = await self._database.writer.erase(work)
        return ErasureOutcome(tombstone, truncated) if tombstone else None

    def _keep_all(self, db: sqlite3.Connection, candidates: Sequence[Candidate]) -> list[StoredDialog | Refusal]:
        """Store each candidate, or say why not: those whose ids are new in few statements, the others one by one."""
        known = rows.known(db, [candidate.sealed.record.dialog_id for candidate in candidates])
        new: list[Candidate] = []
        for candidate in candidates:
            dialog_id = candidate.sealed.record.dialog_id
            if dialog_id not in known:
                known.add(dialog_id)  # (R1) a second one of this id is compared with the first
                new.append(candidate)
        epoch, now = epochs.current(db), self._now()
        sealed = [
            _inserted(candidate, rules.on_keep(None, None, None, candidate, epoch, now)) for candidate in new
        ]  # (R2)
        stored = dict(zip(map(id, new), self._insert(db, sealed), strict=True))
        return [stored.get(id(candidate)) or self._keep_known(db, candidate, epoch) for candidate in candidates]

    def _insert(self, db: sqlite3.Connection, sealed: Sequence[tuple[SealedDialog, int]]) -> list[StoredDialog]:
        if not sealed:
            return []
        if not self._has_moved_on:  # (R6)
            move_on(db, "dialogs", self._ledger.numbered)
        dialogs = inserts.insert(db, sealed)
        self._ledger.reach(dialogs[-1].number)
        counters.add(db, dialogs)
        return dialogs

    def _keep_known(self, db: sqlite3.Connection, candidate: Candidate, epoch: int) -> StoredDialog | Refusal:
        """Store a candidate whose id is known: as a dialog, a tombstone or a retraction, perhaps of somebody else."""
        record = candidate.sealed.record
        stored, tombstone = _found(db, record.dialog_id, heads=True)  # (R1)
        retraction = rows.retraction(db, record.dialog_id, record.owner, candidate.mark)
        try:
            plan = rules.on_keep(stored, tombstone, retraction, candidate, epoch, self._now())  # (R2)
        except Refusal as refusal:
            return refusal
        match plan:
            case rules.Insert():
                (dialog,) = self._insert(db, [_inserted(candidate, plan)])
            case rules.Keep(dialog):
                pass
            case rules.Narrow(dialog):
                self._replace(db, dialog)
        return dialog

    def _narrow(self, db: sqlite3.Connection, dialog_id: str, narrower: Narrower, note: Note | None) -> bool:
        stored, _ = _found(db, dialog_id, heads=True)
        narrowed = stored and narrower(stored)
        if narrowed is None:
            return False
        self._replace(db, narrowed)
        if note is not None:
            access_log.append(db, note.about(narrowed.number))
        return True

    def _replace(self, db: sqlite3.Connection, dialog: StoredDialog) -> None:
        """Replace a stored dialog by itself under a narrower consent."""
        counters.count(db, dialog.number, -1)  # the counters are kept by purposes, which change here
        rows.narrow(db, dialog)
        counters.count(db, dialog.number, 1)
        counters.forget(db, dialog.number)
        record, now = dialog.record, to_micros(self._clock.now())
        self._ledger.add(NarrowedEntry(record.dialog_id, record.purposes, now))  # (R3)

    def _erase(
        self,
        db: sqlite3.Connection,
        dialog_id: str,
        reason: Reason,
        owner: str | None,
        customer: str | None,
        scope: ReadScope,
        note: Note | None,
    ) -> Tombstone | None:
        stored, tombstone = _found(db, dialog_id, heads=False)
        plan = rules.on_erase(
            stored, tombstone, reason=reason, owner=owner, customer=customer, now=self._now(), scope=scope
        )
        return self._apply(db, plan, note)

    def _retract(
        self, db: sqlite3.Connection, dialog_id: str, owner: str, customer: str, mark: bytes, note: Note | None
    ) -> None:
        stored, tombstone = _found(db, dialog_id, heads=False)
        plan = rules.on_retract(
            stored, tombstone, dialog_id=dialog_id, owner=owner, customer=customer, mark=mark, now=self._now()
        )
        if isinstance(plan, rules.Block):
            rows.insert_retraction(db, plan.retraction)
            self._ledger.add(RetractedEntry(plan.retraction))  # (R3)
        else:
            self._apply(db, plan, note)

    def _apply(self, db: sqlite3.Connection, plan: rules.ErasePlan, note: Note | None) -> Tombstone | None:
        match plan:
            case rules.Shred(number, customer, tombstone):
                counters.count(db, number, -1)  # it reads the rows, so before they are deleted
                counters.forget(db, number)
                rows.shred(db, number, SHREDDED)
                self._ledger.add(ErasedEntry(tombstone, rows.insert_tombstone(db, tombstone)))  # (R3)
                access_log.erase_values(db, customer)
                if note is not None:
                    access_log.append(db, note.about(number))
                return tombstone
            case rules.Done(tombstone):
                return tombstone
            case None:
                return None

    def _now(self) -> int:
        return to_micros(self._clock.now())


def _horizon(db: sqlite3.Connection) -> Horizon:
    # (R5) Not max(id): if the last dialog was erased, that would lie before the place a reader has reached.
    sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'dialogs'"
    return Horizon(db.execute(sql).fetchone()[0])


def _is_short(selection: Selection) -> bool:
    """Return whether the page takes about a millisecond: it has few rows, and none is opened to tell if it matches."""
    return selection.limit <= _SHORT and not selection.filter.must_open


def _one_more(selection: Selection, horizon: Horizon) -> Selection:
    """Return the selection below the horizon, with a row more: if that exists, there is a next page."""
    return msgspec.structs.replace(selection, horizon=horizon, limit=selection.limit + 1)


def _load_all(db: sqlite3.Connection, dialog_ids: Sequence[str]) -> dict[str, StoredDialog | Tombstone]:
    found = ((name, _load(db, name, heads=True)) for name in dialog_ids)
    return {name: dialog for name, dialog in found if dialog is not None}


def _load(db: sqlite3.Connection, dialog_id: str, *, heads: bool) -> StoredDialog | Tombstone | None:
    found = rows.find(db, dialog_id)
    if found is None:
        return rows.tombstone(db, dialog_id)
    return msgspec.structs.replace(found, heads=rows.heads(db, found.number)) if heads else found


def _found(db: sqlite3.Connection, dialog_id: str, *, heads: bool) -> tuple[StoredDialog | None, Tombstone | None]:
    """Return the stored dialog or its tombstone, at most one of them, as the rules take them."""
    found = _load(db, dialog_id, heads=heads)
    return (None, found) if isinstance(found, Tombstone) else (found, None)


def _inserted(candidate: Candidate, plan: rules.KeepPlan) -> tuple[SealedDialog, int]:
    """Return the dialog to insert, and when it is stored."""
    assert isinstance(plan, rules.Insert)
    sealed = candidate.sealed
    if plan.wrapped is not sealed.wrapped:
        sealed = msgspec.structs.replace(sealed, wrapped=plan.wrapped)
    return sealed, plan.stored_at


def _residue(path: Path, dialog_ids: Sequence[str], truncated: bool) -> Residue:
    with closing(connect(path, read_only=True)) as db:  # a fresh connection: an old one might answer from its cache
        left = [rows.keys_and_rows_left(db, dialog_id, SHREDDED) for dialog_id in dialog_ids]
    return Residue(sum(keys for keys, _ in left), sum(count for _, count in left), not truncated)
