"""Dialogs as rows: in, out, narrowed and shredded."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...archive.store import MessageHead, SealedDialog, Tombstone
from ...consent.record import Record
from .epochs import DESTROYED, LATEST

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
SELECT: Final = (
    "SELECT d.id, " + _RECORD_COLUMNS + ", " + _DIALOG_COLUMNS + " FROM dialogs d"
    " JOIN dialog_keys k ON k.dialog = d.id JOIN seals s ON s.dialog = d.id"
)
SELECT_LISTED: Final = SELECT.replace("d.receipt, d.withdrawal_hash, d.content", "'', x'', x''")
"""What lists are made of: the receipt alone is half of a row, and each column takes a while."""

_SELECT_BY_NUMBERS: Final = SELECT_LISTED + " WHERE d.id IN (SELECT value FROM json_each(?))"


@lru_cache(maxsize=1_000)
def _purposes(text: str) -> tuple[str, ...]:
    """Return what a column of purposes says; a deployment has few different ones."""
    return tuple(json.loads(text))


def from_row(row: Sequence[Any]) -> SealedDialog:
    """Return what the columns of a `SELECT` say, all but the first, the number."""
    (
        *first,
        purposes,
        given_by,
        decided_at,
        expires_at,
        language,
        messages,
        opened_at,
        received_at,
        stored_at,
        receipt,
        withdrawal_hash,
        content,
        wrapped,
        texts,
        customer,
        metadata,
    ) = row
    record: tuple[Any, ...] = (*first, _purposes(purposes), given_by, decided_at, expires_at)
    return SealedDialog(
        record=Record(*record),
        language=language,
        messages=messages,
        opened_at=opened_at,
        received_at=received_at,
        stored_at=stored_at,
        receipt=receipt,
        withdrawal_hash=withdrawal_hash,
        content=content,
        wrapped=wrapped,
        texts=texts,
        customer=customer,
        metadata=metadata,
    )


def find(db: "sqlite3.Connection", dialog_id: str) -> tuple[int, SealedDialog] | None:
    row = db.execute(f"{SELECT} WHERE d.dialog_id = ?", (dialog_id,)).fetchone()
    return (row[0], from_row(row[1:])) if row else None


def by_numbers(db: "sqlite3.Connection", numbers: Sequence[int]) -> dict[int, SealedDialog]:
    rows = db.execute(_SELECT_BY_NUMBERS, (json.dumps(numbers),))
    return {row[0]: from_row(row[1:]) for row in rows}


def heads(db: "sqlite3.Connection", number: int) -> tuple[MessageHead, ...]:
    rows = db.execute("SELECT role, language, received_at FROM messages WHERE dialog = ? ORDER BY seq", (number,))
    return tuple(MessageHead(*row) for row in rows)


def with_heads(db: "sqlite3.Connection", rows: Sequence[tuple[int, SealedDialog]]) -> list[tuple[int, SealedDialog]]:
    """Return the dialogs with the heads of their messages."""
    found: dict[int, list[MessageHead]] = {number: [] for number, _ in rows}
    sql = (
        "SELECT dialog, role, language, received_at FROM messages WHERE dialog IN (SELECT value FROM json_each(?))"
        " ORDER BY dialog, seq"
    )
    for number, *head in db.execute(sql, (json.dumps(list(found)),)):
        found[number].append(MessageHead(*head))
    return [(number, msgspec.structs.replace(dialog, heads=tuple(found[number]))) for number, dialog in rows]


def tombstone(db: "sqlite3.Connection", dialog_id: str) -> Tombstone | None:
    row = db.execute(
        "SELECT dialog_id, owner, reason, erased_at, messages, decided_at, stored_at, notice_sha256, purposes,"
        f" receipt_sha256, number, withdrawal_hash, epoch IS NOT NULL AND epoch <= {DESTROYED}"
        " FROM tombstones WHERE dialog_id = ?",
        (dialog_id,),
    ).fetchone()
    if row is None:
        return None
    fields: dict[str, Any] = dict(zip(Tombstone.__struct_fields__, row, strict=True))
    fields["purposes"] = _purposes(fields["purposes"])
    fields["complete"] = bool(fields["complete"])
    return Tombstone(**fields)


def bury(db: "sqlite3.Connection", stone: Tombstone) -> None:
    fields = msgspec.structs.asdict(stone) | {"purposes": json.dumps(stone.purposes)}
    *values, _ = fields.values()
    epoch = LATEST if stone.number is not None else "NULL"
    db.execute(f"INSERT INTO tombstones VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {epoch})", values)
    if stone.number is not None:  # it was stored, so somebody may have read it
        db.execute("INSERT INTO erasures (dialog_id) VALUES (?)", (stone.dialog_id,))


def of_withdrawal(db: "sqlite3.Connection", withdrawal_hash: bytes) -> str | None:
    """Return the id of the dialog, stored or erased, whose withdrawal code has this hash."""
    row = db.execute(
        "SELECT dialog_id FROM dialogs WHERE withdrawal_hash = ?1"
        " UNION ALL SELECT dialog_id FROM tombstones WHERE withdrawal_hash = ?1",
        (withdrawal_hash,),
    ).fetchone()
    return row[0] if row else None


def insert(db: "sqlite3.Connection", dialog: SealedDialog) -> int:
    """Insert the dialog, and return the internal number that it got."""
    record = dialog.record
    number: int = db.execute(
        "INSERT INTO dialogs (dialog_id, owner, customer, language, bot, messages, opened_at, received_at, stored_at,"
        " channel, notice, notice_language, notice_sha256, purposes, given_by, decided_at, expires_at, receipt,"
        " withdrawal_hash, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
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
    ).fetchone()[0]
    db.execute("INSERT INTO dialog_keys VALUES (?, ?)", (number, dialog.wrapped))
    db.execute("INSERT INTO seals VALUES (?, ?, ?, ?)", (number, dialog.customer, dialog.metadata, dialog.texts))
    db.executemany(
        "INSERT INTO messages VALUES (?, ?, ?, ?, ?)",
        [(number, seq, head.role, head.language, head.received_at) for seq, head in enumerate(dialog.heads, 1)],
    )
    return number


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
