"""Dialogs as rows: read, narrowed and shredded. `inserts` makes them.

A dialog has one row in each of `dialogs`, `dialog_keys` and `seals`, and one in `messages` for each message. The row in
`dialog_keys` outlives an erasure: its 64 bytes are overwritten with zeros in place. Rows of this table are never
deleted, so SQLite never moves one to another page and leaves a copy behind.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...archive.store import ListedDialog, MessageHead, Retraction, StoredDialog, Tombstone
from ...consent.record import Record
from ..purposes import as_json
from . import annotations, kinds
from .epochs import DESTROYED, LATEST

if TYPE_CHECKING:
    import sqlite3

_RECORD_COLUMNS: Final = (
    "d.dialog_id, d.customer, d.owner, d.bot, d.channel, d.notice, d.notice_language, d.notice_sha256, d.purposes,"
    " d.given_by, d.decided_at, d.expires_at"
)
_LISTED_COLUMNS: Final = (
    "d.id, d.stored_at, d.language, d.messages, d.opened_at, d.received_at, k.wrapped, {texts}, s.customer, s.metadata"
)
_PROOF_COLUMNS: Final = "d.receipt, d.withdrawal_hash, d.content"
"""Columns that lists leave out: the receipt alone is half of a row, and decoding each column takes time."""

# CROSS JOIN keeps the order of the tables: without it SQLite begins with any of them, and scans it.
_JOIN: Final = " CROSS JOIN dialog_keys k ON k.dialog = d.id CROSS JOIN seals s ON s.dialog = d.id"
_SELECT_STORED: Final = (
    f"SELECT {_RECORD_COLUMNS}, {_LISTED_COLUMNS.format(texts='s.texts')}, {_PROOF_COLUMNS} FROM dialogs d{_JOIN}"
    " WHERE d.dialog_id = ?"
)
_SELECT_LISTED: Final = (
    f"SELECT {_RECORD_COLUMNS}, {_LISTED_COLUMNS} FROM json_each(?) n CROSS JOIN dialogs d ON d.id = n.value{_JOIN}"
)
_SELECT_WITH_TEXTS: Final = _SELECT_LISTED.format(texts="s.texts")
_SELECT_WITHOUT: Final = _SELECT_LISTED.format(texts="x''")
_SELECT_KNOWN: Final = " UNION ALL ".join(
    f"SELECT t.dialog_id FROM json_each(?1) n CROSS JOIN {table} t ON t.dialog_id = n.value"
    for table in ("dialogs", "tombstones", "retractions")
)


@lru_cache(maxsize=1_000)
def _purposes(text: str) -> tuple[str, ...]:
    """Decode a column of purposes. A deployment has few different ones, so they are cached."""
    return tuple(json.loads(text))


def _stored(row: Sequence[Any]) -> StoredDialog:
    *common, receipt, withdrawal_hash, content = row
    listed = _listed(common)
    fields: dict[str, Any] = {name: getattr(listed, name) for name in listed.__struct_fields__}
    return StoredDialog(**fields, receipt=receipt, withdrawal_hash=withdrawal_hash, content=content)


def _listed(row: Sequence[Any]) -> ListedDialog:
    return ListedDialog(
        record=Record(*row[:8], _purposes(row[8]), *row[9:12]),  # pyright: ignore[reportCallIssue] - they are twelve
        number=row[12],
        stored_at=row[13],
        language=row[14],
        messages=row[15],
        opened_at=row[16],
        received_at=row[17],
        wrapped=row[18],
        texts=row[19],
        customer=row[20],
        metadata=row[21],
    )


def find(db: "sqlite3.Connection", dialog_id: str) -> StoredDialog | None:
    """Return the stored dialog with this id, without its message heads; None if it is not stored."""
    row = db.execute(_SELECT_STORED, (dialog_id,)).fetchone()
    return _stored(row) if row else None


def by_numbers(
    db: "sqlite3.Connection", numbers: Sequence[int], *, texts: bool = True, most_bytes: float = inf
) -> tuple[dict[int, ListedDialog], int | None]:
    """Return the stored dialogs with these internal numbers, by number and in their order. One that was erased is
    absent. Without `texts` these are empty.

    The second is None, or the number of the dialog before which it ended: its sealed texts, and those of the dialogs
    before it, are more than `most_bytes`. The first dialog is always there.
    """
    sql = _SELECT_WITH_TEXTS if texts else _SELECT_WITHOUT
    found: dict[int, ListedDialog] = {}
    for row in db.execute(sql, (json.dumps(numbers),)):
        dialog = _listed(row)
        most_bytes -= len(dialog.texts)
        if most_bytes < 0 and found:
            return found, dialog.number
        found[dialog.number] = dialog
    return found, None


def heads(db: "sqlite3.Connection", number: int) -> tuple[MessageHead, ...]:
    """Return the heads of a dialog's messages, in the order of their seq."""
    rows = db.execute("SELECT role, language, received_at FROM messages WHERE dialog = ? ORDER BY seq", (number,))
    return tuple(MessageHead(*row) for row in rows)


def with_heads(db: "sqlite3.Connection", dialogs: Sequence[ListedDialog]) -> list[ListedDialog]:
    """Return the dialogs with the heads of their messages, from one statement."""
    found: dict[int, list[MessageHead]] = {dialog.number: [] for dialog in dialogs}
    sql = (
        "SELECT dialog, role, language, received_at FROM messages WHERE dialog IN (SELECT value FROM json_each(?))"
        " ORDER BY dialog, seq"
    )
    for number, *head in db.execute(sql, (json.dumps(list(found)),)):
        found[number].append(MessageHead(*head))
    return [msgspec.structs.replace(dialog, heads=tuple(found[dialog.number])) for dialog in dialogs]


def known(db: "sqlite3.Connection", dialog_ids: Sequence[str]) -> set[str]:
    """Return which of these ids are those of a stored dialog, a tombstone or a retraction."""
    return {row[0] for row in db.execute(_SELECT_KNOWN, (json.dumps(dialog_ids),))}


def tombstone(db: "sqlite3.Connection", dialog_id: str) -> Tombstone | None:
    """Return the tombstone of an erased dialog; None if it was never stored.

    It is `complete` if the master key of the epoch in which it was erased is destroyed, and with it all before.
    """
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


def retraction(db: "sqlite3.Connection", dialog_id: str, owner: str, mark: bytes) -> Retraction | None:
    """Return the retraction with this mark; None if there is none."""
    row = db.execute(
        # x'': recorded by an earlier release, for every customer of the owner.
        "SELECT dialog_id, owner, mark, retracted_at FROM retractions"
        " WHERE dialog_id = ? AND owner = ? AND mark IN (?, x'')",
        (dialog_id, owner, mark),
    ).fetchone()
    return retracted(row) if row else None


def retracted(row: Sequence[Any]) -> Retraction:
    """Return the row of a retraction."""
    return Retraction(**dict(zip(Retraction.__struct_fields__, row, strict=True)))


def insert_retraction(db: "sqlite3.Connection", retraction: Retraction) -> None:
    """Insert a retraction; the first one stays."""
    values = msgspec.structs.astuple(retraction)
    db.execute("INSERT INTO retractions VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", values)


def insert_tombstone(db: "sqlite3.Connection", tombstone: Tombstone) -> int:
    """Insert a tombstone and its entry in the feed of erasures; return its place in the feed.

    A tombstone without a number is not in the feed, and its place is 0.
    """
    fields = msgspec.structs.asdict(tombstone) | {"purposes": json.dumps(tombstone.purposes)}
    *values, _ = fields.values()  # without `complete`, which is computed from the epochs
    epoch = LATEST if tombstone.number is not None else "NULL"
    db.execute(f"INSERT INTO tombstones VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {epoch})", values)
    if tombstone.number is None:
        return 0
    # It was stored, so recipients may hold a copy (GDPR art. 19).
    sql = "INSERT INTO erasures (dialog_id) VALUES (?) RETURNING place"
    return db.execute(sql, (tombstone.dialog_id,)).fetchone()[0]


def of_withdrawal(db: "sqlite3.Connection", withdrawal_hashes: Sequence[bytes]) -> str | None:
    """Return the id of the dialog, stored or erased, whose withdrawal code has the first of these hashes that is
    known; None if there is none.
    """
    sql = (
        "SELECT dialog_id FROM dialogs WHERE withdrawal_hash = ?1"
        " UNION ALL SELECT dialog_id FROM tombstones WHERE withdrawal_hash = ?1"
    )
    found = (db.execute(sql, (withdrawal_hash,)).fetchone() for withdrawal_hash in withdrawal_hashes)
    return next((row[0] for row in found if row), None)


def narrow(db: "sqlite3.Connection", dialog: StoredDialog) -> None:
    """Replace a stored dialog by itself under a narrower consent: sealed again with the same key, bound to the new
    record.
    """
    record = dialog.record
    db.execute(
        "UPDATE dialogs SET purposes = ?, given_by = ?, decided_at = ?, expires_at = ?, receipt = ? WHERE id = ?",
        (
            as_json(record.purposes),
            record.given_by,
            record.decided_at,
            record.expires_at,
            dialog.receipt,
            dialog.number,
        ),
    )
    db.execute(
        "UPDATE seals SET customer = ?, metadata = ?, texts = ? WHERE dialog = ?",
        (dialog.customer, dialog.metadata, dialog.texts, dialog.number),
    )
    kinds.change_purposes(db, dialog.number, as_json(record.purposes))


def shred(db: "sqlite3.Connection", number: int, nothing: bytes) -> None:
    """Overwrite the dialog's key in place with `nothing`, which has the same length, and delete its rows."""
    # At equal length in a rowid table, SQLite rewrites the cell where it stands: no freed page holds the old bytes.
    db.execute("UPDATE dialog_keys SET wrapped = ? WHERE dialog = ?", (nothing, number))
    db.execute("DELETE FROM seals WHERE dialog = ?", (number,))
    kinds.shred(db, number)
    annotations.shred(db, number)
    db.execute("DELETE FROM dialogs WHERE id = ?", (number,))


def keys_and_rows_left(db: "sqlite3.Connection", dialog_id: str, nothing: bytes) -> tuple[int, int]:
    """Return how many keys of an erased dialog are not overwritten, and how many of its rows still exist."""
    keys = db.execute(
        "SELECT count(*) FROM tombstones t JOIN dialog_keys k ON k.dialog = t.number"
        " WHERE t.dialog_id = ? AND k.wrapped != ?",
        (dialog_id, nothing),
    ).fetchone()[0]
    rows = db.execute(
        "SELECT (SELECT count(*) FROM dialogs WHERE dialog_id = ?1)"
        " + (SELECT count(*) FROM tombstones t JOIN seals s ON s.dialog = t.number WHERE t.dialog_id = ?1)"
        " + (SELECT count(*) FROM tombstones t JOIN messages m ON m.dialog = t.number WHERE t.dialog_id = ?1)"
        " + (SELECT count(*) FROM tombstones t JOIN annotations a ON a.dialog = t.number WHERE t.dialog_id = ?1)"
        " + (SELECT count(*) FROM tombstones t JOIN annotation_terms a ON a.dialog = t.number WHERE t.dialog_id = ?1)",
        (dialog_id,),
    ).fetchone()[0]
    return keys, rows
