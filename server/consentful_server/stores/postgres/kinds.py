"""Kinds: the combinations of bot, purposes, role and language that messages have, each with a number.

A filter on any of the four is a set of kinds, and a page of it is a merge of their messages, each from one index, in
the order of the page. So its cost grows with the number of kinds that match and with the length of the page, never
with the store. A deployment has few kinds: the purposes come from its notices, and the languages from its customers.

A kind is deleted with its last message, so that no label outlives the dialogs that had it.
"""

import zlib
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from ...archive.query import Filter
from ...archive.store import SealedDialog, StoredDialog
from ..purposes import as_json
from .connection import Connection
from .placeholders import Placeholders, columns
from .together import Statement

BLOCK: Final = 1000
"""Dialogs in one row of `dialog_times`."""

_FIND: Final = (
    "SELECT k.id, k.bot, k.purposes, k.role, k.language FROM kinds k"
    " JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS w (bot, purposes, role, language)"
    " ON (k.bot, k.purposes, k.role, k.language) = (w.bot, w.purposes, w.role, w.language)"
)
_INSERT: Final = (
    "INSERT INTO kinds (bot, purposes, role, language)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])"
    " RETURNING id, bot, purposes, role, language"
)
_INSERT_TIMES: Final = (
    "INSERT INTO dialog_times SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) ON CONFLICT (block)"
    " DO UPDATE SET earliest = least(dialog_times.earliest, excluded.earliest),"
    " latest = greatest(dialog_times.latest, excluded.latest)"
)


class Kind(NamedTuple):
    """A combination; an empty text means none."""

    bot: str
    purposes: str
    role: str
    language: str


def customer_key(pseudonym: str) -> int:
    """Return a number for an index on customers. Two customers may share it, so compare the pseudonyms, too."""
    return zlib.crc32(pseudonym.encode()) & 0x7FFF_FFFF


def of(dialog: SealedDialog | StoredDialog) -> list[Kind]:
    """Return the kind of each message of a dialog."""
    bot, purposes = dialog.record.bot or "", as_json(dialog.record.purposes)
    return [Kind(bot, purposes, head.role, head.language or "") for head in dialog.heads]


def finding(bots: str, purposes: str, roles: str, languages: str) -> str:
    """Return the statement that finds the number of each of so many kinds, or NULL, in their order."""
    given = ", ".join(f"{it}::text[]" for it in (bots, purposes, roles, languages))
    return (
        f"SELECT k.id FROM unnest({given}) WITH ORDINALITY AS w (bot, purposes, role, language, place)"
        " LEFT JOIN kinds k ON (k.bot, k.purposes, k.role, k.language) = (w.bot, w.purposes, w.role, w.language)"
        " ORDER BY w.place"
    )


async def numbers(db: Connection, wanted: Collection[Kind]) -> dict[Kind, int]:
    """Return the number of each kind, created if it is new."""
    found = {Kind(*kind): number for number, *kind in await db.fetch(_FIND, *columns(list(wanted), 4))}
    if missing := [kind for kind in wanted if kind not in found]:
        found |= {Kind(*kind): number for number, *kind in await db.fetch(_INSERT, *columns(missing, 4))}
    return found


def inserting(rows: Sequence[tuple[int, int, int]]) -> Statement:
    """Return what states which kinds of messages dialogs have: kind, dialog, and the dialog's time of receipt."""
    sql = "INSERT INTO dialog_kinds SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])"
    return sql, columns(rows, 3)


def inserting_times(dialogs: Sequence[StoredDialog]) -> Statement:
    """Return what states when the messages of these dialogs were received."""
    spans: dict[int, tuple[int, int]] = {}
    for dialog in dialogs:
        times = [dialog.received_at, *(head.received_at for head in dialog.heads)]
        known = spans.get(dialog.number // BLOCK, ())
        spans[dialog.number // BLOCK] = min(*times, *known), max(*times, *known)
    return _INSERT_TIMES, columns([(block, *span) for block, span in spans.items()], 3)


async def change_purposes(db: Connection, number: int, purposes: str) -> None:
    """Give the messages of a stored dialog the kinds that they have with these purposes."""
    for kind in await _of_dialog(db, number):
        row = await db.fetchrow("SELECT bot, role, language FROM kinds WHERE id = $1", kind)
        assert row is not None
        changed = Kind(row[0], purposes, *row[1:])
        new = (await numbers(db, [changed]))[changed]
        await db.execute("UPDATE messages SET kind = $1 WHERE dialog = $2 AND kind = $3", new, number, kind)
        await db.execute("UPDATE dialog_kinds SET kind = $1 WHERE kind = $2 AND dialog = $3", new, kind, number)
        await _drop_unused(db, [kind])


async def shred(db: Connection, number: int) -> None:
    """Delete the messages of a dialog, and the kinds that only they had."""
    found = await _of_dialog(db, number)
    await db.execute("DELETE FROM messages WHERE dialog = $1", number)
    await db.execute("DELETE FROM dialog_kinds WHERE dialog = $1 AND kind = ANY($2::bigint[])", number, found)
    await _drop_unused(db, found)


async def matching(db: Connection, wanted: Filter, purposes: tuple[str, ...] | None) -> list[int] | None:
    """Return the kinds that a filter and a caller's purposes allow; None if they allow every kind."""
    values = Placeholders()
    where = [
        f"{name} = {values.add(it)}" for name, it in (("bot", wanted.bot), ("role", wanted.role)) if it is not None
    ]
    if wanted.language is not None:
        where.append(values.in_range("language", wanted.language))
    if wanted.purpose is not None:
        where.append(f"purposes::jsonb ? {values.add(wanted.purpose)}")
    if purposes is not None:
        where.append(f"purposes::jsonb ?| {values.add(list(purposes))}::text[]")
    if not where:
        return None
    return [row[0] for row in await db.fetch(f"SELECT id FROM kinds WHERE {' AND '.join(where)}", *values)]


async def between(db: Connection, since: int | None, until: int | None) -> tuple[int, int | None]:
    """Return the least and the greatest number that dialogs with messages of this time can have.

    `since` and `until` are microseconds; None as the greatest means that there is no bound.
    """
    least, greatest = 0, None
    if since is not None:
        block = await db.fetchval("SELECT min(block) FROM dialog_times WHERE latest >= $1", since)
        if block is None:
            return 0, -1  # nothing is as new as that
        least = block * BLOCK
    if until is not None:
        sql = "SELECT coalesce(max(block), -1) FROM dialog_times WHERE earliest < $1"
        greatest = (await db.fetchval(sql, until) + 1) * BLOCK - 1
    return least, greatest


async def _of_dialog(db: Connection, number: int) -> list[int]:
    return [row[0] for row in await db.fetch("SELECT DISTINCT kind FROM messages WHERE dialog = $1", number)]


async def _drop_unused(db: Connection, some: Sequence[int]) -> None:
    await db.execute(
        "DELETE FROM kinds k WHERE k.id = ANY($1::bigint[])"
        " AND NOT EXISTS (SELECT 1 FROM dialog_kinds o WHERE o.kind = k.id)",
        list(some),
    )
