"""Kinds: the combinations of bot, purposes, role and language that messages have, each with a number.

A filter on any of the four is a set of kinds, and a page of it is a merge of their messages, each from one index, in
the order of the page. So its cost grows with the number of kinds that match and with the length of the page, never
with the store. A deployment has few kinds: the purposes come from its notices, and the languages from its customers.

A kind is deleted with its last message, so that no label outlives the dialogs that had it.
"""

import json
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from ...archive.query import Filter
from ...archive.store import MessageHead
from .languages import in_range

if TYPE_CHECKING:
    import sqlite3

_BLOCK: Final = 1000
"""Dialogs in one row of `dialog_times`."""

_INSERT: Final = "INSERT INTO kinds (bot, purposes, role, language) VALUES (?, ?, ?, ?) RETURNING id"
_FIND: Final = "SELECT id FROM kinds WHERE bot = ? AND purposes = ? AND role = ? AND language = ?"


def customer_key(pseudonym: str) -> int:
    """Return a number for an index on customers. Two customers may share it, so compare the pseudonyms, too."""
    return zlib.crc32(pseudonym.encode()) & 0x7FFF_FFFF  # SQLite stores 31 bits in 4 bytes, and 32 in 6


class Known:
    """The numbers of kinds, each looked up once in a transaction, and created if it is new."""

    def __init__(self, db: "sqlite3.Connection") -> None:
        self._db = db
        self._numbers: dict[tuple[str, str, str, str], int] = {}

    def of(self, bot: str | None, purposes: str, heads: Iterable[MessageHead]) -> dict[tuple[str, str | None], int]:
        """Return the kind of each role and language among the heads."""
        pairs = {(head.role, head.language) for head in heads}
        return {(role, language): self._number((bot or "", purposes, role, language or "")) for role, language in pairs}

    def _number(self, kind: tuple[str, str, str, str]) -> int:
        if kind not in self._numbers:
            self._numbers[kind] = _number(self._db, *kind)
        return self._numbers[kind]


def block_of(number: int) -> int:
    """Return the block of `dialog_times` to which a dialog belongs."""
    return number // _BLOCK


def insert_times(db: "sqlite3.Connection", block: int, earliest: int, latest: int) -> None:
    """State when messages of dialogs of a block were received."""
    db.execute(
        "INSERT INTO dialog_times VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
        " SET earliest = min(earliest, excluded.earliest), latest = max(latest, excluded.latest)",
        (block, earliest, latest),
    )


def change_purposes(db: "sqlite3.Connection", number: int, purposes: str) -> None:
    """Give the messages of a stored dialog the kinds that they have with these purposes."""
    for kind in _of_dialog(db, number):
        bot, role, language = db.execute("SELECT bot, role, language FROM kinds WHERE id = ?", (kind,)).fetchone()
        new = _number(db, bot, purposes, role, language)
        db.execute("UPDATE messages SET kind = ? WHERE dialog = ? AND kind = ?", (new, number, kind))
        db.execute("UPDATE dialog_kinds SET kind = ? WHERE kind = ? AND dialog = ?", (new, kind, number))
        _drop_unused(db, kind)


def shred(db: "sqlite3.Connection", number: int) -> None:
    """Delete the messages of a dialog, and the kinds that only they had."""
    kinds = _of_dialog(db, number)
    db.execute("DELETE FROM messages WHERE dialog = ?", (number,))
    for kind in kinds:
        db.execute("DELETE FROM dialog_kinds WHERE kind = ? AND dialog = ?", (kind, number))
        _drop_unused(db, kind)


def matching(db: "sqlite3.Connection", wanted: Filter, purposes: tuple[str, ...] | None) -> list[int] | None:
    """Return the kinds that a filter and a caller's purposes allow; None if they allow every kind."""
    where: list[str] = []
    values: list[Any] = []
    for column, value in (("bot", wanted.bot), ("role", wanted.role)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    if wanted.language is not None:
        condition, tags = in_range("language", wanted.language)
        where.append(condition)
        values += tags
    if wanted.purpose is not None:
        where.append("EXISTS (SELECT 1 FROM json_each(purposes) WHERE value = ?)")
        values.append(wanted.purpose)
    if purposes is not None:
        where.append("EXISTS (SELECT 1 FROM json_each(purposes) p JOIN json_each(?) mine ON p.value = mine.value)")
        values.append(json.dumps(purposes))
    if not where:
        return None
    return [row[0] for row in db.execute(f"SELECT id FROM kinds WHERE {' AND '.join(where)}", values)]


def between(db: "sqlite3.Connection", since: int | None, until: int | None) -> tuple[int, int | None]:
    """Return the least and the greatest number that dialogs with messages of this time can have.

    `since` and `until` are microseconds; None as the greatest means that there is no bound.
    """
    least, greatest = 0, None
    if since is not None:
        sql = "SELECT min(block) FROM dialog_times WHERE latest >= ?"
        block = db.execute(sql, (since,)).fetchone()[0]
        if block is None:
            return 0, -1  # nothing is as new as that
        least = block * _BLOCK
    if until is not None:
        sql = "SELECT coalesce(max(block), -1) FROM dialog_times WHERE earliest < ?"
        greatest = (db.execute(sql, (until,)).fetchone()[0] + 1) * _BLOCK - 1
    return least, greatest


def _number(db: "sqlite3.Connection", *kind: str) -> int:
    row = db.execute(_FIND, kind).fetchone() or db.execute(_INSERT, kind).fetchone()
    return row[0]


def _of_dialog(db: "sqlite3.Connection", number: int) -> list[int]:
    return [row[0] for row in db.execute("SELECT DISTINCT kind FROM messages WHERE dialog = ?", (number,))]


def _drop_unused(db: "sqlite3.Connection", kind: int) -> None:
    db.execute("DELETE FROM kinds WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM dialog_kinds WHERE kind = ?1)", (kind,))
