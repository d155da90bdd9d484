"""New dialogs as rows, all dialogs of a transaction together.

SQLite releases the GIL at each step of a statement, and takes it again afterwards: under load that costs more than the
rows do. So each table is filled by a few statements with many rows, whose numbers are drawn here: the writer's
transaction is the only one that draws them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ...archive.store import SealedDialog, StoredDialog
from ..dialog_row import row_of
from ..purposes import as_json
from . import kinds

if TYPE_CHECKING:
    import sqlite3

_DIALOGS: Final = (
    "dialogs (id, dialog_id, owner, customer, language, bot, messages, opened_at, received_at, stored_at, channel,"
    " notice, notice_language, notice_sha256, purposes, given_by, decided_at, expires_at, receipt, withdrawal_hash,"
    " content)"
)
_MOST_ROWS: Final = 64
"""Rows in one statement: the numbers of rows are powers of two, so that there are few different statements."""


def insert(db: "sqlite3.Connection", sealed: Sequence[tuple[SealedDialog, int]]) -> list[StoredDialog]:
    """Insert dialogs, each with the time at which it is stored; return them as they are stored, in this order."""
    first = _last_number(db) + 1
    dialogs = [_stored(dialog, number, at) for number, (dialog, at) in enumerate(sealed, first)]
    _insert(db, _DIALOGS, map(row_of, dialogs))
    _insert(db, "dialog_keys", [(dialog.number, dialog.wrapped) for dialog in dialogs])
    _insert(db, "seals", [(dialog.number, dialog.customer, dialog.metadata, dialog.texts) for dialog in dialogs])
    _insert_messages(db, dialogs)
    return dialogs


def _insert_messages(db: "sqlite3.Connection", dialogs: Sequence[StoredDialog]) -> None:
    """Insert the heads of the messages, and all that filters find them by."""
    known = kinds.Known(db)
    messages: list[tuple[Any, ...]] = []
    of_dialogs: list[tuple[int, int, int]] = []
    times: defaultdict[int, list[int]] = defaultdict(list)
    for dialog in dialogs:
        number, record, customer = dialog.number, dialog.record, kinds.customer_key(dialog.record.customer)
        kind_of = known.of(record.bot, as_json(record.purposes), dialog.heads)
        messages += [
            (number, seq, head.role, head.language, head.received_at, kind_of[head.role, head.language], customer)
            for seq, head in enumerate(dialog.heads, 1)
        ]
        of_dialogs += [(kind, number, dialog.received_at) for kind in kind_of.values()]
        times[kinds.block_of(number)] += [dialog.received_at, *(head.received_at for head in dialog.heads)]
    _insert(db, "messages", messages)
    _insert(db, "dialog_kinds", of_dialogs)
    for block, received in times.items():
        kinds.insert_times(db, block, min(received), max(received))


def _last_number(db: "sqlite3.Connection") -> int:
    """Return the last number that was drawn: AUTOINCREMENT keeps it, also when its dialog is erased."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'dialogs'").fetchone()
    return row[0] if row else 0


def _stored(dialog: SealedDialog, number: int, stored_at: int) -> StoredDialog:
    fields: dict[str, Any] = {name: getattr(dialog, name) for name in SealedDialog.__struct_fields__}
    return StoredDialog(**fields, number=number, stored_at=stored_at)


def _insert(db: "sqlite3.Connection", table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    rows = list(rows)
    start = 0
    while start < len(rows):
        count = min(_MOST_ROWS, 1 << (len(rows) - start).bit_length() - 1)
        some = rows[start : start + count]
        db.execute(_statement(table, len(some[0]), count), [value for row in some for value in row])
        start += count


@lru_cache(maxsize=64)
def _statement(table: str, columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"INSERT INTO {table} VALUES {', '.join([row] * rows)}"
