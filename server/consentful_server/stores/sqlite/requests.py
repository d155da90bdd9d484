"""Privacy requests as rows."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...access_log.store import Note
from ...privacy.store import PrivacyRequest, RequestPlace, RequestsWanted, Status
from . import access_log
from .database import Database
from .epochs import DESTROYED, LATEST

if TYPE_CHECKING:
    import sqlite3


_HAS_ENDED: Final = f"kind = 'erasure' AND status = 'unreadable' AND epoch <= {DESTROYED}"
"""The epoch of the erasure has ended: it is complete from then on, even before its new report is signed."""

_STATUS: Final = f"CASE WHEN {_HAS_ENDED} THEN 'complete' ELSE status END"
_COLUMNS: Final = ", ".join(PrivacyRequest.__struct_fields__).replace("status", _STATUS, 1)
_LISTED: Final = _COLUMNS.replace(" report,", " NULL,", 1)
"""A report names every dialog: a list of many requests is read without them."""


class SQLiteRequests:
    """The `RequestStore` of an SQLite database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, request: PrivacyRequest, erased: Sequence[str] = (), note: Note | None = None) -> None:
        await self._database.writer.write(lambda db: _add(db, request, erased, note), erases=True)

    async def find(self, request_id: str) -> PrivacyRequest | None:
        return await self._database.look_up(lambda db: _one(db, "id = ?", (request_id,)))

    async def page(self, wanted: RequestsWanted, after: RequestPlace | None, limit: int) -> list[PrivacyRequest]:
        where, values = _conditions(wanted, after)
        order = "due_at, id" if wanted.order == "due" else "id DESC"
        sql = f"SELECT {_LISTED} FROM privacy_requests WHERE {where} ORDER BY {order} LIMIT ?"
        return await self._database.read(lambda db: [_from_row(row) for row in db.execute(sql, [*values, limit])])

    async def erased_for(self, request_id: str) -> list[str]:
        sql = "SELECT dialog_id FROM privacy_request_dialogs WHERE request = ? ORDER BY dialog_id"
        return await self._database.read(lambda db: [row[0] for row in db.execute(sql, (request_id,))])

    async def pending(self) -> list[PrivacyRequest]:
        sql = f"SELECT {_COLUMNS} FROM privacy_requests WHERE status IN ('pending', 'open') ORDER BY due_at"
        return await self._database.read(lambda db: [_from_row(row) for row in db.execute(sql)])

    async def ended(self) -> list[PrivacyRequest]:
        sql = f"SELECT {_COLUMNS} FROM privacy_requests WHERE {_HAS_ENDED}"
        return await self._database.read(lambda db: [_from_row(row) for row in db.execute(sql)])

    async def decide(self, request: PrivacyRequest, note: Note) -> bool:
        sql = (
            "UPDATE privacy_requests SET status = ?, due_at = ?, extended_for = ?, refused_for = ?"
            " WHERE id = ? AND status = 'open'"
        )
        values = (request.status, request.due_at, request.extended_for, request.refused_for, request.id)

        def work(db: "sqlite3.Connection") -> bool:
            is_open = db.execute(sql, values).rowcount == 1
            if is_open:
                access_log.append(db, note)
            return is_open

        return await self._database.writer.write(work)

    async def settle(self, request_id: str, status: Status, report: str | None) -> None:
        sql = f"UPDATE privacy_requests SET status = ?, report = ?, epoch = {LATEST} WHERE id = ?"
        await self._database.writer.write(lambda db: db.execute(sql, (status, report, request_id)), erases=True)

    async def finish(
        self, request_id: str, status: Status, *, dialogs: int, messages: int, damaged: Sequence[str]
    ) -> None:
        sql = "UPDATE privacy_requests SET status = ?, dialogs = ?, messages = ?, damaged = ? WHERE id = ?"
        values = (status, dialogs, messages, json.dumps(damaged), request_id)
        await self._database.writer.write(lambda db: db.execute(sql, values))

    async def forget_repeats(self, before: int) -> None:
        where = "repeat_key IS NOT NULL AND received_at < ?"
        found = await self._database.read(lambda db: _one(db, where, (before,)))
        if found is not None:  # usually there is none, and no need to write
            sql = f"UPDATE privacy_requests SET repeat_key = NULL, repeat_body = NULL WHERE {where}"
            await self._database.writer.write(lambda db: db.execute(sql, (before,)), erases=True)

    async def repeated(self, repeat_key: bytes, since: int) -> PrivacyRequest | None:
        where = "repeat_key = ? AND received_at >= ? ORDER BY received_at DESC"
        return await self._database.read(lambda db: _one(db, where, (repeat_key, since)))


def _add(db: "sqlite3.Connection", request: PrivacyRequest, erased: Sequence[str], note: Note | None) -> None:
    fields = msgspec.structs.asdict(request)
    fields["purposes"] = None if request.purposes is None else json.dumps(request.purposes)
    fields["damaged"] = json.dumps(request.damaged)
    db.execute(
        f"INSERT INTO privacy_requests ({', '.join(fields)}, epoch) VALUES ({'?, ' * len(fields)}{LATEST})",
        tuple(fields.values()),
    )
    rows = [(request.id, dialog_id) for dialog_id in erased]
    db.executemany("INSERT INTO privacy_request_dialogs VALUES (?, ?)", rows)
    if note is not None:
        access_log.append(db, note)


def _one(db: "sqlite3.Connection", where: str, values: Sequence[Any]) -> PrivacyRequest | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM privacy_requests WHERE {where}", values).fetchone()
    return _from_row(row) if row else None


def _conditions(wanted: RequestsWanted, after: RequestPlace | None) -> tuple[str, list[Any]]:
    given: list[tuple[str, tuple[Any, ...]]] = []
    if wanted.status is not None:
        given.append((f"{_STATUS} = ?", (wanted.status,)))
    if wanted.kind is not None:
        given.append(("kind = ?", (wanted.kind,)))
    if wanted.due_before is not None:
        given.append(("due_at < ?", (wanted.due_before,)))
    if after is not None:
        given.append(("(due_at, id) > (?, ?)", after) if wanted.order == "due" else ("id < ?", (after.id,)))
    return " AND ".join(sql for sql, _ in given) or "1", [value for _, values in given for value in values]


def _from_row(row: Sequence[Any]) -> PrivacyRequest:
    fields: dict[str, Any] = dict(zip(PrivacyRequest.__struct_fields__, row, strict=True))
    fields["purposes"] = None if fields["purposes"] is None else tuple(json.loads(fields["purposes"]))
    fields["damaged"] = tuple(json.loads(fields["damaged"]))
    return PrivacyRequest(**fields)
