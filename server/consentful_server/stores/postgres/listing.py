"""A page of messages or of dialogs, before it is opened; and one that a replica had, confirmed by the primary."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from ...archive.query import MAX_PAGE_BYTES, Horizon, Selection
from ...archive.store import ListedDialog, MessageRow
from . import dialog_rows as rows
from . import numbers, pages
from .connection import Connection
from .purposes import purposes_of

_SELECT_STATE: Final = (
    "SELECT d.id, d.dialog_id, d.purposes, k.wrapped FROM dialogs d JOIN dialog_keys k ON k.dialog = d.id"
    " WHERE d.id = ANY($1::bigint[])"
)


class Page(NamedTuple):
    """Rows of messages, if it is a page of them; the dialogs by number, in order; whether more follow; and the horizon
    below which it was read.
    """

    rows: Sequence[MessageRow]
    dialogs: Mapping[int, ListedDialog]
    has_more: bool
    horizon: Horizon


async def horizon_of(db: Connection) -> Horizon:
    """Return the number of the last dialog, stored or erased: everything up to it is committed."""
    # Not the last number that is stored: if that dialog was erased, it would lie before the place of a reader.
    return Horizon(await db.fetchval(numbers.LAST, "dialogs"))


async def messages(db: Connection, selection: Selection) -> Page:
    """Return a page of messages with their dialogs."""
    horizon = await horizon_of(db) if selection.horizon is None else selection.horizon
    found = await pages.messages(db, _one_more(selection, horizon))
    shown = found[: selection.limit]
    named = list(dict.fromkeys(row.dialog for row in shown))
    listed, end = await rows.by_numbers(db, named, texts=True, most_bytes=MAX_PAGE_BYTES)
    if end is not None:
        shown = shown[: next(place for place, row in enumerate(shown) if row.dialog == end)]
    return Page(shown, listed, len(shown) < len(found), horizon)


async def dialogs(db: Connection, selection: Selection, *, texts: bool) -> Page:
    """Return a page of dialogs; with their texts and heads if these are asked for."""
    horizon = await horizon_of(db) if selection.horizon is None else selection.horizon
    found = await pages.dialogs(db, _one_more(selection, horizon))
    shown = found[: selection.limit]
    listed, end = await rows.by_numbers(db, shown, texts=texts, most_bytes=MAX_PAGE_BYTES)
    if texts:
        listed = {dialog.number: dialog for dialog in await rows.with_heads(db, list(listed.values()))}
    return Page([], listed, end is not None or len(shown) < len(found), horizon)


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


def _one_more(selection: Selection, horizon: Horizon) -> Selection:
    """Return the selection below the horizon, with a row more: if that exists, there is a next page."""
    return msgspec.structs.replace(selection, horizon=horizon, limit=selection.limit + 1)
