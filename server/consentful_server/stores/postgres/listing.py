"""A page of messages or of dialogs, before it is opened; and one that a replica had, confirmed by the primary.

A page is one statement: its rows, their dialogs with keys and seals, and the horizon. Each further one would be a round
trip, which takes longer than what the server does in it. The driver returns all rows at once, so texts that are too
many must not be among them. They are stored uncompressed (EXTERNAL): their length is known without reading them.
"""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Final, NamedTuple

import msgspec

from ...archive.query import MAX_PAGE_BYTES, Horizon, Selection
from ...archive.store import ListedDialog, MessageRow
from . import dialog_rows as rows
from . import numbers, pages
from .annotations import with_annotations
from .connection import Connection, Row
from .pages import Query
from .purposes import purposes_of

_SELECT_STATE: Final = (
    "SELECT d.id, d.dialog_id, d.purposes, k.wrapped FROM dialogs d JOIN dialog_keys k ON k.dialog = d.id"
    " WHERE d.id = ANY($1::bigint[])"
)
_SELECT_PAGE: Final = (
    "WITH page AS MATERIALIZED (SELECT *, row_number() OVER (ORDER BY {order}) AS place FROM ({selected}) p),"
    " found AS (SELECT dialog, min(place) AS first, {heads} FROM page WHERE place <= {limit} GROUP BY dialog),"
    " sized AS ({sized})"
    f" SELECT n.dialog, (SELECT count(*) FROM page), ({numbers.LAST_DIALOG}), n.places, n.seqs, n.roles, n.languages,"
    f" n.times, d.id + k.dialog + s.dialog IS NOT NULL, {rows.RECORD}, {{columns}}"
    # Outer joins: a dialog of which a row is missing is damaged, and the page goes on behind it.
    " FROM sized n LEFT JOIN dialogs d ON d.id = n.dialog LEFT JOIN dialog_keys k ON k.dialog = n.dialog"
    " LEFT JOIN seals s ON s.dialog = n.dialog WHERE n.before <= {most} ORDER BY n.first"
)
_HEADS: Final = (
    "array_agg(place) AS places, array_agg(seq) AS seqs, array_agg(role) AS roles, array_agg(language) AS languages,"
    " array_agg(received_at) AS times"
)
_NO_HEADS: Final = "NULL AS places, NULL AS seqs, NULL AS roles, NULL AS languages, NULL AS times"
_SIZED: Final = (
    "SELECT f.*, coalesce(sum(octet_length(l.texts)) OVER (ORDER BY f.first ROWS BETWEEN UNBOUNDED PRECEDING AND 1"
    " PRECEDING), 0) AS before FROM found f LEFT JOIN seals l ON l.dialog = f.dialog"
)
_UNSIZED: Final = "SELECT *, 0 AS before FROM found"


class Page(NamedTuple):
    """Rows of messages, if it is a page of them; the dialogs by number, in order; whether more follow; and the horizon
    below which it was read.
    """

    rows: Sequence[MessageRow]
    dialogs: Mapping[int, ListedDialog]
    has_more: bool
    horizon: Horizon


class _Found(NamedTuple):
    """A dialog of a page that has `length` rows in all: its messages there, and the dialog itself, if it is whole."""

    number: int
    length: int
    horizon: Horizon
    heads: Sequence[Sequence[Any]]
    """For each message its place in the page, which begins with 1, its seq, and its head."""
    dialog: ListedDialog | None

    @classmethod
    def of(cls, row: Row) -> "_Found":
        number, length, horizon, *heads, is_whole = row[:9]
        dialog = ListedDialog(**rows.fields(row[9:])) if is_whole else None
        return cls(number, length, horizon, heads, dialog)

    def messages(self) -> list[tuple[int, MessageRow]]:
        """Return the messages with their places."""
        return [(place, MessageRow(self.number, *head)) for place, *head in zip(*self.heads, strict=True)]


async def horizon_of(db: Connection) -> Horizon:
    """Return the number of the last dialog, stored or erased: everything up to it is committed."""
    # Not the last number that is stored: if that dialog was erased, it would lie before the place of a reader.
    return Horizon(await db.fetchval(numbers.LAST_DIALOG))


async def messages(db: Connection, selection: Selection) -> Page:
    """Return a page of messages with their dialogs."""
    query = await pages.prepared(db, _one_more(selection))
    order = "dialog, seq" if query.is_stored else "received_at DESC, dialog DESC, seq DESC"
    found = await _found(db, query, pages.message_sql(query), order, texts=True, heads=True)
    placed = sorted(it for dialog in found for it in dialog.messages())
    # Up to the first one whose dialog is not here, because the page would be too long.
    shown = [row for expected, (place, row) in zip(count(1), placed, strict=False) if place == expected]
    return await _page(db, selection, found, shown, len(shown))


async def dialogs(db: Connection, selection: Selection, *, texts: bool, annotated: bool = False) -> Page:
    """Return a page of dialogs; with their texts and heads, and with their annotations, if these are asked for."""
    query = await pages.prepared(db, _one_more(selection))
    order = query.dialog_order("messages", "received_at", "dialog")
    found = await _found(db, query, pages.dialog_sql(query), order, texts=texts, heads=False)
    page = await _page(db, selection, found, [], len(found))
    if texts:
        whole = await rows.with_heads(db, list(page.dialogs.values()))
        page = page._replace(dialogs={dialog.number: dialog for dialog in whole})
    if annotated:
        page = page._replace(dialogs=await with_annotations(db, page.dialogs, selection.filter.terms))
    return page


async def confirmed(db: Connection, page: Page) -> Page | None:
    """Return a page that a replica had, with the keys that are stored here; None if one of its dialogs is not stored
    here any more, or under a narrower consent.
    """
    state = {number: it for number, *it in await db.fetch(_SELECT_STATE, list(page.dialogs))}
    known: dict[int, ListedDialog] = {}
    for number, dialog in page.dialogs.items():
        dialog_id, purposes, wrapped = state.get(number, ("", "[]", b""))
        if (dialog_id, purposes_of(purposes)) != (dialog.record.dialog_id, dialog.record.purposes):
            return None
        known[number] = msgspec.structs.replace(dialog, wrapped=wrapped)
    return page._replace(dialogs=known)


async def _found(db: Connection, query: Query, selected: str, order: str, *, texts: bool, heads: bool) -> list[_Found]:
    """Return the dialogs of a page in order, without those that would make it too long."""
    if query.kinds == []:
        return []
    sql = _SELECT_PAGE.format(
        order=order,
        selected=selected,
        heads=_HEADS if heads else _NO_HEADS,
        limit=query.selection.limit - 1,
        sized=_SIZED if texts else _UNSIZED,
        columns=rows.LISTED.format(texts="s.texts" if texts else "''::bytea"),
        most=MAX_PAGE_BYTES,
    )
    found: list[_Found] = []
    room = MAX_PAGE_BYTES
    for it in map(_Found.of, await db.fetch(sql, *query.values)):
        room -= 0 if it.dialog is None else len(it.dialog.texts)
        if room < 0 and found:  # the first is always there
            break
        found.append(it)
    return found


async def _page(
    db: Connection, selection: Selection, found: Sequence[_Found], shown: Sequence[MessageRow], length: int
) -> Page:
    """Return the page of which `length` rows are shown."""
    horizon = selection.horizon
    if horizon is None:
        horizon = found[0].horizon if found else await horizon_of(db)
    whole = {it.number: it.dialog for it in found if it.dialog is not None}
    return Page(shown, whole, bool(found) and length < found[0].length, horizon)


def _one_more(selection: Selection) -> Selection:
    """Return the selection with a row more: if that exists, there is a next page."""
    return msgspec.structs.replace(selection, limit=selection.limit + 1)
