"""The SQL of the SQLite store: rows in, rows out, and a selection as a statement."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..clock import to_micros
from ..consent import Record, Wording
from ..query import Filter, Selection
from . import Credential, MessageHead, MessageRow, PrivacyRequest, SealedDialog, Tombstone

if TYPE_CHECKING:
    import sqlite3

_RECORD_COLUMNS: Final = (
    "d.dialog_id, d.customer, d.owner, d.bot, d.channel, d.notice, d.notice_language, d.notice_sha256, d.purposes,"
    " d.given_by, d.decided_at, d.expires_at"
)
_DIALOG_COLUMNS: Final = (
    "d.language, d.messages, d.opened_at, d.received_at, d.stored_at, d.receipt, d.withdrawal_hash, d.content,"
    " k.wrapped, s.texts, s.customer, s.metadata"
)
_SELECT: Final = (
    "SELECT d.id, " + _RECORD_COLUMNS + ", " + _DIALOG_COLUMNS + " FROM dialogs d"
    " JOIN dialog_keys k ON k.dialog = d.id JOIN seals s ON s.dialog = d.id"
)
_SELECT_BY_NUMBERS: Final = _SELECT + " WHERE d.id IN (SELECT value FROM json_each(?))"
_RECORD_FIELDS: Final = Record.__struct_fields__
_DIALOG_FIELDS: Final = SealedDialog.__struct_fields__[1:-1]
"""All but the record, which comes first, and the heads, which are rows of their own."""


def _dialog(row: Sequence[Any]) -> SealedDialog:
    record: dict[str, Any] = dict(zip(_RECORD_FIELDS, row, strict=False))
    rest: dict[str, Any] = dict(zip(_DIALOG_FIELDS, row[len(_RECORD_FIELDS) :], strict=True))
    record["purposes"] = tuple(json.loads(record["purposes"]))
    return SealedDialog(record=Record(**record), **rest)


def find(db: "sqlite3.Connection", dialog_id: str) -> tuple[int, SealedDialog] | None:
    row = db.execute(f"{_SELECT} WHERE d.dialog_id = ?", (dialog_id,)).fetchone()
    return (row[0], _dialog(row[1:])) if row else None


def by_numbers(db: "sqlite3.Connection", numbers: Sequence[int]) -> dict[int, SealedDialog]:
    rows = db.execute(_SELECT_BY_NUMBERS, (json.dumps(numbers),))
    return {row[0]: _dialog(row[1:]) for row in rows}


def heads(db: "sqlite3.Connection", number: int) -> tuple[MessageHead, ...]:
    rows = db.execute("SELECT role, language, received_at FROM messages WHERE dialog = ? ORDER BY seq", (number,))
    return tuple(MessageHead(*row) for row in rows)


def tombstone(db: "sqlite3.Connection", dialog_id: str) -> Tombstone | None:
    row = db.execute(
        "SELECT dialog_id, owner, reason, erased_at, messages, decided_at, stored_at, notice_sha256, purposes,"
        " receipt_sha256, number, withdrawal_hash FROM tombstones WHERE dialog_id = ?",
        (dialog_id,),
    ).fetchone()
    if row is None:
        return None
    fields: dict[str, Any] = dict(zip(Tombstone.__struct_fields__, row, strict=True))
    fields["purposes"] = tuple(json.loads(fields["purposes"]))
    return Tombstone(**fields)


def bury(db: "sqlite3.Connection", stone: Tombstone) -> None:
    fields = msgspec.structs.asdict(stone) | {"purposes": json.dumps(stone.purposes)}
    db.execute("INSERT INTO tombstones VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", tuple(fields.values()))


def of_withdrawal(db: "sqlite3.Connection", withdrawal_hash: bytes) -> str | None:
    """Return the id of the dialog, stored or erased, whose withdrawal code has this hash."""
    row = db.execute(
        "SELECT dialog_id FROM dialogs WHERE withdrawal_hash = ?1"
        " UNION ALL SELECT dialog_id FROM tombstones WHERE withdrawal_hash = ?1",
        (withdrawal_hash,),
    ).fetchone()
    return row[0] if row else None


def insert(db: "sqlite3.Connection", dialog: SealedDialog) -> None:
    record = dialog.record
    number = db.execute(
        "INSERT INTO dialogs (dialog_id, owner, customer, language, bot, messages, opened_at, received_at, stored_at,"
        " channel, notice, notice_language, notice_sha256, purposes, given_by, decided_at, expires_at, receipt,"
        " withdrawal_hash, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.dialog_id,
            record.owner,
            record.customer,
            dialog.language,
            record.bot,
            dialog.messages,
            dialog.opened_at,
            dialog.received_at,
            dialog.stored_at,
            record.channel,
            record.notice_id,
            record.notice_language,
            record.notice_sha256,
            json.dumps(record.purposes),
            record.given_by,
            record.decided_at,
            record.expires_at,
            dialog.receipt,
            dialog.withdrawal_hash,
            dialog.content,
        ),
    ).lastrowid
    db.execute("INSERT INTO dialog_keys VALUES (?, ?)", (number, dialog.wrapped))
    db.execute("INSERT INTO seals VALUES (?, ?, ?, ?)", (number, dialog.customer, dialog.metadata, dialog.texts))
    db.executemany(
        "INSERT INTO messages VALUES (?, ?, ?, ?, ?)",
        [(number, seq, head.role, head.language, head.received_at) for seq, head in enumerate(dialog.heads, 1)],
    )


def narrow(db: "sqlite3.Connection", number: int, dialog: SealedDialog) -> None:
    """Put a dialog in the place of itself under a narrower consent, sealed anew with the same key."""
    record = dialog.record
    db.execute(
        "UPDATE dialogs SET purposes = ?, given_by = ?, decided_at = ?, expires_at = ?, receipt = ? WHERE id = ?",
        (json.dumps(record.purposes), record.given_by, record.decided_at, record.expires_at, dialog.receipt, number),
    )
    db.execute(
        "UPDATE seals SET customer = ?, metadata = ?, texts = ? WHERE dialog = ?",
        (dialog.customer, dialog.metadata, dialog.texts, number),
    )


def shred(db: "sqlite3.Connection", number: int, nothing: bytes) -> None:
    """Overwrite the dialog's key where it stands, and remove its rows."""
    db.execute("UPDATE dialog_keys SET wrapped = ? WHERE dialog = ?", (nothing, number))
    db.execute("DELETE FROM seals WHERE dialog = ?", (number,))
    db.execute("DELETE FROM messages WHERE dialog = ?", (number,))
    db.execute("DELETE FROM dialogs WHERE id = ?", (number,))


def keys_and_rows_left(db: "sqlite3.Connection", dialog_id: str, nothing: bytes) -> tuple[int, int]:
    """Return how many keys and rows of an erased dialog are there that should not be."""
    keys = db.execute(
        "SELECT count(*) FROM tombstones t JOIN dialog_keys k ON k.dialog = t.number"
        " WHERE t.dialog_id = ? AND k.wrapped != ?",
        (dialog_id, nothing),
    ).fetchone()[0]
    rows = db.execute(
        "SELECT (SELECT count(*) FROM dialogs WHERE dialog_id = ?1)"
        " + (SELECT count(*) FROM tombstones t JOIN seals s ON s.dialog = t.number WHERE t.dialog_id = ?1)"
        " + (SELECT count(*) FROM tombstones t JOIN messages m ON m.dialog = t.number WHERE t.dialog_id = ?1)",
        (dialog_id,),
    ).fetchone()[0]
    return keys, rows


def add_request(db: "sqlite3.Connection", request: PrivacyRequest) -> None:
    fields = msgspec.structs.asdict(request)
    db.execute("INSERT INTO privacy_requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", tuple(fields.values()))


def request(db: "sqlite3.Connection", where: str, values: Sequence[Any]) -> PrivacyRequest | None:
    row = db.execute(f"SELECT * FROM privacy_requests WHERE {where}", values).fetchone()
    return PrivacyRequest(**dict(zip(PrivacyRequest.__struct_fields__, row, strict=True))) if row else None


def messages(db: "sqlite3.Connection", selection: Selection) -> list[MessageRow]:
    where, values = _conditions(selection.filter, selection.sight)
    where.insert(0, "m.dialog <= ?")
    values.insert(0, selection.watermark)
    after = selection.after
    if selection.order == "newest":
        order = "m.received_at DESC, m.dialog DESC, m.seq DESC"
        if after is not None:
            where.append("(m.received_at, m.dialog, m.seq) < (?, ?, ?)")
            values += [after.received_at, after.dialog, after.seq]
    else:
        order = "m.dialog, m.seq"
        if after is not None:
            where.append("(m.dialog, m.seq) > (?, ?)")
            values += [after.dialog, after.seq]
    sql = (
        f"SELECT m.dialog, m.seq, m.role, m.language, m.received_at FROM {_message_tables(selection)}"
        f" WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ? OFFSET ?"
    )
    return [MessageRow(*row) for row in db.execute(sql, [*values, selection.limit, selection.offset])]


def dialogs(db: "sqlite3.Connection", selection: Selection) -> list[tuple[int, SealedDialog]]:
    where, values = _dialog_conditions(selection.filter, selection.sight)
    on_messages, message_values = _message_conditions(selection.filter)
    if on_messages:
        where.append(f"EXISTS (SELECT 1 FROM messages m WHERE m.dialog = d.id AND {' AND '.join(on_messages)})")
        values += message_values
    times, time_values = _time_conditions("d", selection.filter)
    where += ["d.id <= ?", *times]
    values += [selection.watermark, *time_values]
    after = selection.after
    if selection.order == "newest":
        order = "d.received_at DESC, d.id DESC"
        if after is not None:
            where.append("(d.received_at, d.id) < (?, ?)")
            values += [after.received_at, after.dialog]
    else:
        order = "d.id"
        if after is not None:
            where.append("d.id > ?")
            values.append(after.dialog)
    sql = f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?"
    return [(row[0], _dialog(row[1:])) for row in db.execute(sql, [*values, selection.limit])]


def _message_tables(selection: Selection) -> str:
    """Name the tables so that SQLite walks the one that narrows most.

    CROSS JOIN keeps the order: a customer's or one dialog's messages are found from their dialogs, everything else by
    walking the messages in order, which needs no sort at any depth.
    """
    wanted = selection.filter
    if wanted.customer is not None or wanted.dialog_id is not None:
        return "dialogs d CROSS JOIN messages m ON m.dialog = d.id"
    if wanted.bot is not None or wanted.purpose is not None or selection.sight is not None:
        return "messages m CROSS JOIN dialogs d ON d.id = m.dialog"
    return "messages m"


def _conditions(wanted: Filter, sight: tuple[str, ...] | None) -> tuple[list[str], list[Any]]:
    parts = (_dialog_conditions(wanted, sight), _message_conditions(wanted), _time_conditions("m", wanted))
    return [sql for where, _ in parts for sql in where], [value for _, values in parts for value in values]


def _dialog_conditions(wanted: Filter, sight: tuple[str, ...] | None) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    for column, value in (("customer", wanted.customer), ("dialog_id", wanted.dialog_id), ("bot", wanted.bot)):
        if value is not None:
            where.append(f"d.{column} = ?")
            values.append(value)
    if wanted.purpose is not None:
        where.append("EXISTS (SELECT 1 FROM json_each(d.purposes) WHERE value = ?)")
        values.append(wanted.purpose)
    if sight is not None:
        where.append("EXISTS (SELECT 1 FROM json_each(d.purposes) p JOIN json_each(?) mine ON p.value = mine.value)")
        values.append(json.dumps(sight))
    return where, values


def _message_conditions(wanted: Filter) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    if wanted.language is not None:
        # A range fits the tag itself and whatever begins with it and a hyphen (RFC 4647 §3.3.1); `.` follows `-`.
        where.append("(m.language = ? OR (m.language > ? AND m.language < ?))")
        values += [wanted.language, wanted.language + "-", wanted.language + "."]
    if wanted.role is not None:
        where.append("m.role = ?")
        values.append(wanted.role)
    return where, values


def _time_conditions(table: str, wanted: Filter) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    for comparison, moment in ((">=", wanted.since), ("<", wanted.until)):
        if moment is not None:
            where.append(f"{table}.received_at {comparison} ?")
            values.append(to_micros(moment))
    return where, values


def notices(db: "sqlite3.Connection") -> list[Wording]:
    rows = db.execute(
        "SELECT notice, language, text, purposes, controller, contact, retention_days, added_at, retired_at"
        " FROM notices ORDER BY added_at, notice"
    )
    return [
        Wording(
            notice,
            language,
            text,
            tuple(json.loads(purposes)),
            controller,
            contact,
            timedelta(days=days),
            added,
            retired,
        )
        for notice, language, text, purposes, controller, contact, days, added, retired in rows
    ]


def add_notice(db: "sqlite3.Connection", wordings: Sequence[Wording], at: int) -> None:
    db.executemany(
        "INSERT INTO notices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        [
            (w.id, w.language, w.sha256, w.text, json.dumps(w.purposes), w.controller, w.contact, w.retention.days, at)
            for w in wordings
        ],
    )


_CREDENTIAL: Final = "SELECT id, name, hash, scopes, purposes, created_at, expires_at, revoked_at FROM credentials"


def _credential(row: Sequence[Any]) -> Credential:
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


def credentials(db: "sqlite3.Connection") -> list[Credential]:
    return [_credential(row) for row in db.execute(f"{_CREDENTIAL} ORDER BY created_at, id")]


def credential(db: "sqlite3.Connection", key_id: str) -> Credential | None:
    row = db.execute(f"{_CREDENTIAL} WHERE id = ?", (key_id,)).fetchone()
    return _credential(row) if row else None


def add_credential(db: "sqlite3.Connection", credential: Credential) -> None:
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
