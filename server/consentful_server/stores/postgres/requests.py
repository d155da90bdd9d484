"""Privacy requests as rows."""

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ...access_log.store import Note
from ...privacy.store import PrivacyRequest, RequestPlace, RequestsWanted, Status
from . import access_log
from .connection import Connection, Row
from .database import Database
from .epochs import DESTROYED, LATEST
from .placeholders import Placeholders, columns

# Pending as well: keys and rows are gone with the erasure's own transaction, and only their earlier versions are left.
_HAS_ENDED: Final = f"kind = 'erasure' AND status IN ('pending', 'unreadable') AND epoch <= {DESTROYED}"
"""The epoch of the erasure has ended: it is complete from then on, even before its new report is signed."""

_IS_WAITING: Final = f"(status = 'open' OR status = 'pending' AND NOT ({_HAS_ENDED}))"
_STATUS: Final = f"CASE WHEN {_HAS_ENDED} THEN 'complete' ELSE status END"
_COLUMNS: Final = ", ".join(PrivacyRequest.__struct_fields__).replace("status", _STATUS, 1)
_LISTED: Final = _COLUMNS.replace(" report,", " NULL,", 1)
"""A report names every dialog: a list of many requests is read without them."""
_SELECT: Final = f"SELECT {_COLUMNS} FROM privacy_requests"


class PostgresRequests:
    """The `RequestStore` of a PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, request: PrivacyRequest, erased: Sequence[str] = (), note: Note | None = None) -> None:
        await self._database.writer.write(lambda db: _add(db, request, erased, note))

    async def find(self, request_id: str) -> PrivacyRequest | None:
        return await self._one("id = $1", request_id)

    async def page(self, wanted: RequestsWanted, after: RequestPlace | None, limit: int) -> list[PrivacyRequest]:
        values = Placeholders()
        where = _conditions(wanted, after, values)
        order = 'due_at, id COLLATE "C"' if wanted.order == "due" else 'id COLLATE "C" DESC'
        sql = f"SELECT {_LISTED} FROM privacy_requests WHERE {where} ORDER BY {order} LIMIT {values.add(limit)}"
        return [_from_row(row) for row in await self._database.fetch(sql, *values)]

    async def erased_for(self, request_id: str) -> list[str]:
        sql = "SELECT dialog_id FROM privacy_request_dialogs WHERE request = $1 ORDER BY dialog_id"
        return [row[0] for row in await self._database.fetch(sql, request_id)]

    async def pending(self) -> list[PrivacyRequest]:
        rows = await self._database.fetch(f"{_SELECT} WHERE {_IS_WAITING} ORDER BY due_at")
        return [_from_row(row) for row in rows]

    async def ended(self) -> list[PrivacyRequest]:
        return [_from_row(row) for row in await self._database.fetch(f"{_SELECT} WHERE {_HAS_ENDED}")]

    async def decide(self, request: PrivacyRequest, note: Note) -> bool:
        sql = (
            "UPDATE privacy_requests SET status = $1, due_at = $2, extended_for = $3, refused_for = $4"
            " WHERE id = $5 AND status = 'open' RETURNING true"
        )
        values = (request.status, request.due_at, request.extended_for, request.refused_for, request.id)

        async def work(db: Connection) -> bool:
            is_open = await db.fetchval(sql, *values) is not None
            if is_open:
                await access_log.append_if(db, note)
            return is_open

        return await self._database.writer.write(work)

    async def settle(self, request_id: str, status: Status, report: str | None) -> None:
        # The epoch stays that of the erasures: a request is settled only because their epochs have ended.
        sql = "UPDATE privacy_requests SET status = $1, report = $2 WHERE id = $3"
        await self._database.writer.write(lambda db: db.execute(sql, status, report, request_id))

    async def finish(
        self, request_id: str, status: Status, *, dialogs: int, messages: int, damaged: Sequence[str]
    ) -> None:
        sql = "UPDATE privacy_requests SET status = $1, dialogs = $2, messages = $3, damaged = $4 WHERE id = $5"
        values = (status, dialogs, messages, json.dumps(damaged), request_id)
        await self._database.writer.write(lambda db: db.execute(sql, *values))

    async def forget_repeats(self, before: int) -> None:
        where = "repeat_key IS NOT NULL AND received_at < $1"
        if await self._one(where, before) is not None:  # usually there is none, and no need to write
            sql = f"UPDATE privacy_requests SET repeat_key = NULL, repeat_body = NULL WHERE {where}"
            await self._database.writer.write(lambda db: db.execute(sql, before))

    async def repeated(self, repeat_key: bytes, since: int) -> PrivacyRequest | None:
        return await self._one("repeat_key = $1 AND received_at >= $2 ORDER BY received_at DESC", repeat_key, since)

    async def _one(self, where: str, *values: Any) -> PrivacyRequest | None:
        row = await self._database.fetchrow(f"{_SELECT} WHERE {where}", *values)
        return _from_row(row) if row else None


async def _add(db: Connection, request: PrivacyRequest, erased: Sequence[str], note: Note | None) -> None:
    fields = msgspec.structs.asdict(request)
    fields["purposes"] = None if request.purposes is None else json.dumps(request.purposes)
    fields["damaged"] = json.dumps(request.damaged)
    places = ", ".join(f"${index}" for index in range(1, len(fields) + 1))
    sql = f"INSERT INTO privacy_requests ({', '.join(fields)}, epoch) VALUES ({places}, {LATEST})"
    await db.execute(sql, *fields.values())
    rows = [(request.id, dialog_id) for dialog_id in erased]
    sql = "INSERT INTO privacy_request_dialogs SELECT * FROM unnest($1::text[], $2::text[])"
    await db.execute(sql, *columns(rows, 2))
    await access_log.append_if(db, note)


def _conditions(wanted: RequestsWanted, after: RequestPlace | None, values: Placeholders) -> str:
    given = ["true"]
    if wanted.status is not None:
        given.append(f"{_STATUS} = {values.add(wanted.status)}")
    if wanted.kind is not None:
        given.append(f"kind = {values.add(wanted.kind)}")
    if wanted.due_before is not None:
        given.append(f"due_at < {values.add(wanted.due_before)}")
    if after is not None and wanted.order == "due":
        given.append(f'(due_at, id COLLATE "C") > ({values.add(after.due_at)}, {values.add(after.id)})')
    elif after is not None:
        given.append(f'id COLLATE "C" < {values.add(after.id)}')
    return " AND ".join(given)


def _from_row(row: Row) -> PrivacyRequest:
    fields: dict[str, Any] = dict(zip(PrivacyRequest.__struct_fields__, row, strict=True))
    fields["purposes"] = None if fields["purposes"] is None else tuple(json.loads(fields["purposes"]))
    fields["damaged"] = tuple(json.loads(fields["damaged"]))
    return PrivacyRequest(**fields)
