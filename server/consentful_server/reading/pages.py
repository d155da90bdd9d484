"""Pages: stored dialogs and messages, opened for one reader, one page at a time.

A page is made in three steps: read and open the rows (off the event loop, in one read transaction), record the
disclosure in the access log, return the page. No transaction is open between two pages.

    newest    by time of receipt, below the horizon of the first page; the walk ends
    longest   of dialogs, by number of messages, below the horizon of the first page; so is `shortest`; the walk ends
    random    of dialogs, by lots that a seed draws, below the horizon of the first page; the walk ends
    stored    in commit order, below a horizon that moves with each page; the walk never ends, it waits for more

A search by text (`q`) or metadata cannot use an index, because these are sealed: a page opens blocks of messages, or of
dialogs, until it is full or has examined 20,000. Then it is returned, perhaps empty, with a cursor.

A page is bounded by bytes and by time as well: a block reads at most `MAX_PAGE_BYTES` of sealed texts, and no further
block is read once the page holds as many characters, or has taken a second.

Races, and the line that closes each:

(R1) Dialogs are stored while a walk runs: `newest` does not show them, because they lie beyond its horizon; so no page
     shifts. `stored` shows them on a later page, because they come after every row so far.
(R2) A dialog is erased between two pages: the next page does not have it. Keyset cursors name a place, not a row, so no
     other row is skipped.
(R3) A dialog is erased after it was read and before the page is returned: the reader gets it. The access log lists it
     as disclosed, so the feed of erasures tells the reader to delete it (GDPR art. 19).
(R4) The server dies between the access log and the answer: the log lists a disclosure that did not happen, never the
     reverse.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Final, Generic, TypeVar

import msgspec

from ..access_log.log import AccessLog
from ..annotations.remark import KeptAnnotation
from ..archive.folding import fold
from ..archive.opening import OnDamaged, Opened, Opener, whole
from ..archive.priority import Priority
from ..archive.query import MAX_PAGE_BYTES, Filter, Horizon, Kind, Order, Position, Selection, check_order
from ..archive.store import DialogStore, ListedDialog, MessageRow, StoredDialog, Tombstone
from ..archive.views import Chat, Extra, KeptDialog, KeptMessage, Page, Roles, Summary
from ..auth.read_scope import ReadScope
from ..clock import Clock
from ..errors import Erased, NotFound
from ..keys.vault import Vault
from .cursors import Cursors
from .walk import Walk

T = TypeVar("T")

_log: Final = logging.getLogger("consentful.reading")

_SCAN_BLOCK: Final = 2_000
_SCAN_MOST: Final = 20_000
"""Messages, or dialogs, that one page of a search opens before it returns what it has found."""
_PAGE_S: Final = 1.0
"""Seconds after which a page is returned with what it has, although it is not full."""


class Pages:
    """Reads stored data for readers, and records what it disclosed."""

    def __init__(
        self,
        store: DialogStore,
        vault: Vault,
        cursors: Cursors,
        access_log: AccessLog,
        *,
        clock: Clock,
        turn: asyncio.Lock,
        priority: Priority,
        on_damaged: OnDamaged,
    ) -> None:
        self._priority = priority
        self._on_damaged = on_damaged
        self._store = store
        self._clock = clock
        self._turn = turn
        self._vault = vault
        self._cursors = cursors
        self._access_log = access_log

    async def dialog(self, dialog_id: str, scope: ReadScope) -> KeptDialog:
        """Return one dialog with its messages; the access log has recorded it.

        Raises:
            NotFound: If it does not exist, or not within the caller's scope.
            Erased: If it was erased.
            Damaged: If it cannot be opened.
        """
        number, dialog = await self.whole(dialog_id, scope)
        await self._access_log.write(scope.by, "dialog.read", rows=len(dialog.messages), dialogs=[number])  # (R3, R4)
        return dialog

    async def whole(self, dialog_id: str, scope: ReadScope) -> tuple[int, KeptDialog]:
        """Return one dialog with its internal number and its messages; the caller must record the disclosure.

        Raises:
            NotFound: If it does not exist, or not within the caller's scope.
            Erased: If it was erased.
            Damaged: If it cannot be opened.
        """
        found = await self._store.find(dialog_id)
        if isinstance(found, Tombstone) and found.stored_at is not None and scope.covers(found.purposes):
            raise Erased(dialog_id, found.moment)
        if not isinstance(found, StoredDialog) or not scope.covers(found.record.purposes):
            raise NotFound
        return found.number, whole(self._vault, found, scope)

    async def messages(
        self,
        wanted: Filter,
        scope: ReadScope,
        *,
        order: Order,
        limit: int,
        cursor: str | None = None,
        extras: frozenset[Extra] = frozenset(),
        view: Callable[[list[KeptMessage]], list[T]],
    ) -> Page[T]:
        """Return a page of messages, as `view` shows them; the access log has recorded it, and which extras it has.

        If rows must be opened, it may hold fewer than `limit` messages, even none, and still have a next page. `view`
        is called on a reader's thread, right after some messages were opened.
        """
        walk, opener = self._walk("messages", wanted, scope, order, cursor), self._opener(scope, wanted, extras)
        items: list[T] = []
        dialogs: set[int] = set()
        shown, scanned, size, more = 0, 0, 0, True
        until = self._clock.monotonic() + _PAGE_S
        while more and shown < limit and scanned < _SCAN_MOST and size < MAX_PAGE_BYTES:
            # A search examines many messages for one match, so it reads larger blocks.
            length = _SCAN_BLOCK if wanted.must_open else limit
            selection = walk.select(wanted, scope.purposes, order, length)  # (R2)
            async with self._turn_of(wanted):
                block, horizon = await self._block(selection, opener, limit - shown, view)
            items += block.items
            dialogs |= block.dialogs
            shown += block.shown
            scanned += block.rows
            size += block.size
            more = block.more
            walk = walk.below(horizon).past(order, block.last if more else None)
            if self._clock.monotonic() >= until:
                break  # the reader gets what was found, and goes on with the cursor
        await self._access_log.write(  # (R3, R4)
            scope.by, "messages.read", wanted=_asked(wanted, extras), rows=shown, dialogs=dialogs
        )
        return Page(items, self._cursor("messages", wanted, scope, order, walk, more), more, self._damaged(opener))

    async def latest(
        self,
        wanted: Filter,
        scope: ReadScope,
        *,
        limit: int,
        offset: int,
        cursor: str | None,
        view: Callable[[Opened, MessageRow], T],
    ) -> Page[T]:
        """Return a view of each message, newest first, after skipping `offset`; the access log has recorded it."""
        walk = self._walk("messages", wanted, scope, "newest", cursor)
        opener = self._opener(scope, wanted)
        items: list[T] = []
        seen: set[int] = set()

        def block(
            rows: Sequence[MessageRow], listed: Mapping[int, ListedDialog], more: bool
        ) -> tuple[int, Position | None]:
            found = opener.rows(rows, listed)
            items.extend(view(opened, row) for row, opened in found)
            seen.update(row.dialog for row, _ in found)
            return len(rows), rows[-1].position if more else None

        more = True
        while more and limit > 0:  # a client that counts its offsets must get all `limit` rows, in however many blocks
            selection = walk.select(wanted, scope.purposes, "newest", limit)
            selection = msgspec.structs.replace(selection, offset=offset)
            (rows, last), horizon = await self._store.list_messages(selection, block)
            limit, offset, more = limit - rows, 0, last is not None
            walk = walk.below(horizon).past("newest", last)
        await self._access_log.write(
            scope.by, "messages.read", wanted=wanted.asked(), rows=len(items), dialogs=sorted(seen)
        )
        return Page(items, self._cursor("messages", wanted, scope, "newest", walk, more), more, self._damaged(opener))

    async def dialogs(
        self,
        wanted: Filter,
        scope: ReadScope,
        *,
        order: Order,
        limit: int,
        cursor: str | None = None,
        extras: frozenset[Extra] = frozenset(),
    ) -> Page[Summary]:
        """Return a page of dialogs, without their messages; the access log has recorded it, and which extras it has.

        If dialogs must be opened, it may hold fewer than `limit`, even none, and still have a next page.

        Raises:
            BadRequest: If no index has the rows in this order.
        """

        def view(opened: Opened) -> Summary:
            return opened.summary(scope, extras)

        return await self._dialogs("dialogs", wanted, scope, order, limit, cursor, view, extras)

    async def chats(
        self,
        wanted: Filter,
        scope: ReadScope,
        *,
        order: Order,
        limit: int,
        cursor: str | None = None,
        roles: Roles = "user/assistant",
    ) -> Page[Chat]:
        """Return a page of dialogs in the chat shape; the access log has recorded it.

        With `q` it may hold fewer than `limit` dialogs, as `messages` does.
        """

        def view(opened: Opened) -> Chat:
            return opened.chat(scope, roles)

        return await self._dialogs("chat", wanted, scope, order, limit, cursor, view)

    async def annotations(
        self, wanted: Filter, scope: ReadScope, *, order: Order, limit: int, cursor: str | None = None
    ) -> Page[KeptAnnotation]:
        """Return a page of annotations, dialog by dialog; the access log has recorded it.

        A page ends with the dialog in which it reaches `limit`, so it can hold more than that.
        """
        walk, opener = self._walk("annotations", wanted, scope, order, cursor), self._opener(scope, wanted)
        items: list[KeptAnnotation] = []
        seen: list[int] = []

        def page(rows: Sequence[ListedDialog], more: bool) -> Position | None:
            for dialog in rows:
                opened = opener.open(dialog, texts=False)
                if opened is not None:
                    items.extend(opened.annotations)
                    seen.append(dialog.number)
                if len(items) >= limit:
                    return dialog.position if more or dialog is not rows[-1] else None
            return rows[-1].position if more else None

        selection = walk.select(wanted, scope.purposes, order, limit)  # (R2)
        last, horizon = await self._store.list_dialogs(selection, page, annotations=True)
        await self._access_log.write(  # (R3, R4)
            scope.by, "annotations.read", wanted=wanted.asked(), rows=len(items), dialogs=seen
        )
        more = last is not None
        walk = walk.below(horizon).past(order, last)
        return Page(items, self._cursor("annotations", wanted, scope, order, walk, more), more, self._damaged(opener))

    async def _dialogs(
        self,
        kind: Kind,
        wanted: Filter,
        scope: ReadScope,
        order: Order,
        limit: int,
        cursor: str | None,
        view: Callable[[Opened], T],
        extras: frozenset[Extra] = frozenset(),
    ) -> Page[T]:
        walk, opener = self._walk(kind, wanted, scope, order, cursor), self._opener(scope, wanted, extras)
        needle = None if wanted.q is None else fold(wanted.q)
        is_chat = kind == "chat"
        has_texts = is_chat or wanted.q is not None or "first_text" in extras
        items: list[T] = []
        seen: list[int] = []
        scanned, more = 0, True
        until = self._clock.monotonic() + _PAGE_S

        def block(rows: Sequence[ListedDialog], more: bool) -> tuple[int, Position | None]:
            for place, dialog in enumerate(rows, 1):  # one at a time: nothing but its view stays in memory
                opened = opener.open(dialog, texts=has_texts, heads=is_chat)
                if opened is not None and (needle is None or opened.contains(needle)):
                    items.append(view(opened))
                    seen.append(dialog.number)
                if len(items) == limit:  # the next page begins here, in the middle of the block
                    return place, dialog.position if more or place < len(rows) else None
            return len(rows), rows[-1].position if more else None

        while more and len(items) < limit and scanned < _SCAN_MOST:
            length = _SCAN_BLOCK if wanted.must_open else limit
            selection = walk.select(wanted, scope.purposes, order, length)  # (R2)
            async with self._turn_of(wanted):
                (rows, last), horizon = await self._store.list_dialogs(
                    selection, block, texts=has_texts, annotations="annotations" in extras
                )
            more, scanned = last is not None, scanned + rows
            walk = walk.below(horizon).past(order, last)
            if not wanted.must_open or self._clock.monotonic() >= until:
                break  # the reader gets what was found, and goes on with the cursor
        action = "messages.read" if is_chat else "dialogs.read"
        await self._access_log.write(  # (R3, R4)
            scope.by, action, wanted=_asked(wanted, extras), rows=len(items), dialogs=seen
        )
        return Page(items, self._cursor(kind, wanted, scope, order, walk, more), more, self._damaged(opener))

    def _opener(self, scope: ReadScope, wanted: Filter, extras: frozenset[Extra] = frozenset()) -> Opener:
        return Opener(self._vault, scope, self._priority.give_way, metadata=wanted.metadata, extras=extras)

    def _damaged(self, opener: Opener) -> tuple[str, ...]:
        """Count and log the dialogs that could not be opened; return their ids for the reader."""
        self._on_damaged(len(opener.damaged))
        for dialog_id in opener.damaged:
            _log.error("dialog cannot be opened", extra={"dialog_id": dialog_id})
        return tuple(sorted(opener.damaged))

    def _turn_of(self, wanted: Filter) -> AbstractAsyncContextManager[None]:
        """Return the turn of a search: one block at a time is searched, or streamed; see `reading.streams`, R5."""
        return self._turn if wanted.must_open else nullcontext()

    def _walk(self, kind: Kind, wanted: Filter, scope: ReadScope, order: Order, cursor: str | None) -> Walk:
        """Return the walk at the cursor, or a new one; it has no horizon yet if it is to show what is stored now."""
        check_order(order, wanted, scope.purposes)
        walk = self._cursors.read(cursor, kind, order, wanted, scope.purposes) if cursor else Walk()
        if order == "stored":
            return Walk(None, walk.after, walk.since)
        return walk  # (R1) below the horizon of its first page

    async def _block(
        self, selection: Selection, opener: Opener, room: int, view: Callable[[list[KeptMessage]], list[T]]
    ) -> "tuple[_Block[T], Horizon]":
        """Return at most `room` matching messages, from one short read."""
        needle = None if selection.filter.q is None else fold(selection.filter.q)

        def block(rows: Sequence[MessageRow], listed: Mapping[int, ListedDialog], more: bool) -> _Block[T]:
            found, messages = opener.messages(rows, listed, needle)
            if len(messages) >= room:  # the next page begins here, in the middle of the block
                found, messages = found[:room], messages[:room]
                more, last = more or found[-1] is not rows[-1], found[-1].position
            else:
                last = rows[-1].position if more else None
            return _Block(
                view(messages),
                {row.dialog for row in found},
                len(messages),
                len(rows),
                sum(map(len, [message.text for message in messages])),
                last,
                more,
            )

        return await self._store.list_messages(selection, block)

    def _cursor(self, kind: Kind, wanted: Filter, scope: ReadScope, order: Order, walk: Walk, more: bool) -> str | None:
        """Return the cursor of the next page. In commit order there always is one, for what will be stored later."""
        if not more and order != "stored":
            return None
        return self._cursors.write(kind, order, wanted, scope.purposes, walk)


def _asked(wanted: Filter, extras: frozenset[Extra]) -> dict[str, Any]:
    """Return the filters and extras, as the access log records them."""
    return wanted.asked() | ({"include": sorted(extras)} if extras else {})


class _Block(msgspec.Struct, Generic[T], frozen=True):
    """The result of one read: the view of matching messages, their dialogs, how many they are, how many rows were
    examined, the characters of their texts, the last row examined, and whether more rows follow.
    """

    items: list[T]
    dialogs: set[int]
    shown: int
    rows: int
    size: int
    last: Position | None
    more: bool
