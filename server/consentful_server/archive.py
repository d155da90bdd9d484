"""The archive: dialogs go in sealed once they are granted, and come out opened for those who may read them.

It joins what is pure (consent, vault, query) with the store; edges call it and decide nothing.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec
from pyroaring import BitMap

from consentful import wire
from consentful.identifiers import uuid7

from .chain import CUSTOMER, SERVICE, Action, Actor
from .clock import Clock, from_micros, to_micros
from .consent import Record, expiry, receipt_claims
from .dialog import Dialog, Granted
from .errors import Erased, NotFound
from .logbook import Logbook
from .pseudonym import Pseudonyms
from .query import Cursors, Filter, Kind, Order, Position, Selection, Walk
from .roots import Signer
from .sealing import Opened, Sealer, fold
from .stores import Erasure, MessageRow, Reason, SealedDialog, Store, Tombstone
from .vault import Vault, withdrawal_hash
from .views import KeptDialog, KeptMessage, Page, Sight, Summary

T = TypeVar("T")

_SCAN_BLOCK: Final = 2_000
_SCAN_MOST: Final = 20_000
"""How many messages one page of a text search opens before it answers with what it found so far."""

_STREAM_BLOCK: Final = 1_000
_LAST_SEQ: Final = 2**31


class Archive:
    """What this deployment keeps."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        *,
        signer: Signer,
        pseudonyms: Pseudonyms,
        cursors: Cursors,
        logbook: Logbook,
        clock: Clock,
        issuer: str,
    ) -> None:
        self.store = store
        self._logbook = logbook
        self._vault = vault
        self._signer = signer
        self._pseudonyms = pseudonyms
        self._cursors = cursors
        self._clock = clock
        self._issuer = issuer

    def pseudonym(self, customer_id: str) -> str:
        return self._pseudonyms.of(customer_id)

    async def keep(self, dialog: Dialog, granted: Granted, *, owner: str, channel: str) -> wire.Stored:
        """Store a granted dialog, once, and return its proof; a replay gets the same.

        Raises:
            Conflict: If its id holds another dialog, or another customer's.
            Erased: If it was erased or retracted.
            StorageFailed: If it could not be written.
            OutcomeUnknown: If nobody can tell whether it was.
        """
        record = self._record(dialog, granted, owner, channel)
        sealer = Sealer(self._vault, dialog, record, self._signing(granted))
        stored = await self.store.keep(sealer)
        return wire.Stored(
            dialog.id, stored.messages, from_micros(stored.stored_at), stored.receipt, sealer.code(stored)
        )

    async def decline(self, dialog_id: str, customer_id: str, *, owner: str, retract: bool = False) -> None:
        """See to it that nothing of the dialog is kept: a "no" to a stored dialog is a withdrawal (GDPR art. 7(3))."""
        customer, by = self.pseudonym(customer_id), Actor(owner)
        if retract:
            await self.store.retract(dialog_id, owner, customer, self._logbook.note(by, "dialog.retracted"))
        elif isinstance(await self.store.find(dialog_id), SealedDialog):
            note = self._logbook.note(by, "dialog.declined")
            await self.store.erase(dialog_id, "declined", owner=owner, customer=customer, note=note)

    async def erase(self, dialog_id: str, reason: Reason, *, owner: str | None = None, by: Actor = SERVICE) -> Erasure:
        """Erase one dialog, durably; None as the owner means whoever's.

        Raises:
            NotFound: If there is none, or it is not this owner's.
        """
        note = self._logbook.note(by, _ERASED[reason])
        erasure = await self.store.erase(dialog_id, reason, owner=owner, note=note)
        if erasure is None:
            raise NotFound
        return erasure

    async def withdraw(self, code: str, by: Actor = CUSTOMER) -> Erasure:
        """Erase the dialog whose customer was given this code, durably.

        Raises:
            NotFound: If it is nobody's code.
        """
        note = self._logbook.note(by, "dialog.withdrawn")
        erasure = await self.store.withdraw(withdrawal_hash(code), note)
        if erasure is None:
            raise NotFound
        return erasure

    async def dialog(self, dialog_id: str, sight: Sight) -> KeptDialog:
        """Return one dialog with its messages, once that is in the access log.

        Raises:
            NotFound: If there is none that the caller may see.
            Erased: If it was erased.
        """
        number, dialog = await self.whole(dialog_id, sight)
        await self._logbook.write(sight.by, "dialog.read", rows=len(dialog.messages), dialogs=[number])
        return dialog

    async def whole(self, dialog_id: str, sight: Sight) -> tuple[int, KeptDialog]:
        """Return one dialog with its messages, and its internal number, for a caller who sees to the access log.

        Raises:
            NotFound: If there is none that the caller may see.
            Erased: If it was erased.
        """
        found = await self.store.find(dialog_id)
        if isinstance(found, Tombstone) and found.stored_at is not None and sight.covers(found.purposes):
            raise Erased(dialog_id, from_micros(found.erased_at))
        if not isinstance(found, SealedDialog) or not sight.covers(found.record.purposes):
            raise NotFound
        return found.number or 0, Opened(self._vault, found).whole(sight)

    def content_digest(self, sealed: SealedDialog) -> bytes:
        """Return the keyed digest of a dialog's stored words, which a receipt states."""
        return Opened(self._vault, sealed).content_digest()

    async def messages(
        self, wanted: Filter, sight: Sight, *, order: Order, limit: int, cursor: str | None = None
    ) -> Page[KeptMessage]:
        """Return a page of messages, once that is in the access log.

        With `q` it may hold fewer than `limit`, even none, and still have a next one.
        """
        walk = await self._walk("messages", wanted, sight, order, cursor)
        items: list[KeptMessage] = []
        dialogs: set[int] = set()
        scanned, more = 0, True
        while more and len(items) < limit and scanned < _SCAN_MOST:
            length = limit if wanted.q is None else _SCAN_BLOCK
            block = await self._block(_select(wanted, sight, order, walk, length), sight, limit - len(items))
            items += block.items
            dialogs |= block.dialogs
            scanned += length
            more = block.more
            walk = _advance(walk, order, block.last if more else None)
        await self._logbook.write(
            sight.by, "messages.read", wanted=wanted.asked(), rows=len(items), dialogs=sorted(dialogs)
        )
        return Page(items, self._cursor("messages", wanted, sight, order, walk, more), more)

    async def stream(self, wanted: Filter, sight: Sight, *, order: Order) -> AsyncGenerator[list[KeptMessage]]:
        """Yield all that is stored now, less what is erased meanwhile, a block at a time and in constant memory.

        The access log has an entry before the first of them, and one with what was yielded after the last.
        """
        walk = await self._walk("messages", wanted, sight, order, None)
        subject, rows, dialogs, more = str(uuid7()), 0, BitMap(), True
        asked = wanted.asked() | {"watermark": walk.watermark}
        await self._logbook.write(sight.by, "messages.streamed", wanted=asked, subject=subject)
        try:
            while more:
                block = await self._block(_select(wanted, sight, order, walk, _STREAM_BLOCK), sight, _STREAM_BLOCK)
                rows += len(block.items)
                dialogs.update(block.dialogs)
                if block.items:
                    yield block.items
                more = block.more
                walk = _advance(walk, order, block.last if more else None)
        finally:
            await self._logbook.write(sight.by, "messages.sent", rows=rows, dialogs=dialogs, subject=subject)

    async def latest(
        self, wanted: Filter, sight: Sight, *, limit: int, offset: int, view: Callable[[Opened, MessageRow], T]
    ) -> list[T]:
        """Return a view of each message, newest first, after leaving out `offset` of them."""
        watermark = await self.store.watermark()
        selection = Selection(
            filter=wanted, order="newest", watermark=watermark, limit=limit, offset=offset, sight=sight.purposes
        )

        def opener(rows: Sequence[MessageRow], sealed: Mapping[int, SealedDialog]) -> tuple[list[T], list[int]]:
            dialogs = {number: Opened(self._vault, dialog) for number, dialog in sealed.items()}
            return [view(dialogs[row.dialog], row) for row in rows], list(dialogs)

        items, dialogs = await self.store.messages(selection, opener)
        await self._logbook.write(sight.by, "messages.read", wanted=wanted.asked(), rows=len(items), dialogs=dialogs)
        return items

    async def dialogs(
        self, wanted: Filter, sight: Sight, *, order: Order, limit: int, cursor: str | None = None
    ) -> Page[Summary]:
        """Return a page of dialogs, without their messages, once that is in the access log."""
        walk = await self._walk("dialogs", wanted, sight, order, cursor)

        def opener(rows: Sequence[tuple[int, SealedDialog]]) -> tuple[list[Summary], list[int], Position | None]:
            shown = rows[:limit]
            last = Position(shown[-1][1].received_at, shown[-1][0]) if len(rows) > limit else None
            items = [Opened(self._vault, sealed).summary(sight) for _, sealed in shown]
            return items, [number for number, _ in shown], last

        items, seen, last = await self.store.dialogs(_select(wanted, sight, order, walk, limit), opener)
        await self._logbook.write(sight.by, "dialogs.read", wanted=wanted.asked(), rows=len(items), dialogs=seen)
        more = last is not None
        return Page(items, self._cursor("dialogs", wanted, sight, order, _advance(walk, order, last), more), more)

    def _record(self, dialog: Dialog, granted: Granted, owner: str, channel: str) -> Record:
        now = self._clock.now()
        return Record(
            dialog_id=dialog.id,
            customer=self.pseudonym(dialog.customer_id),
            owner=owner,
            bot=dialog.bot,
            channel=channel,
            notice_id=granted.wording.id,
            notice_language=granted.wording.language,
            notice_sha256=granted.wording.sha256,
            purposes=granted.purposes,
            given_by=granted.given_by,
            decided_at=to_micros(now),
            expires_at=to_micros(expiry(now, granted.wording)),
        )

    def _signing(self, granted: Granted) -> Callable[[Record, int, bytes], str]:
        def sign(record: Record, messages: int, content: bytes) -> str:
            claims = receipt_claims(
                record,
                issuer=self._issuer,
                controller=granted.wording.controller,
                contact=granted.wording.contact,
                messages=messages,
                content=content,
            )
            return self._signer.sign(claims)

        return sign

    async def _walk(self, kind: Kind, wanted: Filter, sight: Sight, order: Order, cursor: str | None) -> Walk:
        """Return where a walk goes on. Newest first it keeps its watermark; in commit order it sees what came since."""
        walk = self._cursors.read(cursor, kind, order, wanted, sight.purposes) if cursor else None
        if walk is None or order == "stored":
            return Walk(await self.store.watermark(), walk.after if walk else None)
        return walk

    async def _block(self, selection: Selection, sight: Sight, room: int) -> "_Block":
        """Return at most `room` of the messages that fit, from one short read."""
        length = selection.limit - 1
        needle = None if selection.filter.q is None else fold(selection.filter.q)

        def opener(rows: Sequence[MessageRow], sealed: Mapping[int, SealedDialog]) -> _Block:
            dialogs = {number: Opened(self._vault, dialog) for number, dialog in sealed.items()}
            items: list[KeptMessage] = []
            seen: set[int] = set()
            for row in rows[:length]:
                message = dialogs[row.dialog].message(row, sight)
                if needle is None or needle in fold(message.text):
                    items.append(message)
                    seen.add(row.dialog)
                if len(items) == room:
                    return _Block(items, seen, row, row is not rows[-1])
            return _Block(items, seen, rows[length - 1] if len(rows) > length else None, len(rows) > length)

        return await self.store.messages(selection, opener)

    def _cursor(self, kind: Kind, wanted: Filter, sight: Sight, order: Order, walk: Walk, more: bool) -> str | None:
        """Return where the next page begins. In commit order there is always one: of what is stored later."""
        if not more and order == "newest":
            return None
        return self._cursors.write(kind, order, wanted, sight.purposes, walk)


_ERASED: Final[Mapping[Reason, Action]] = {
    "withdrawn": "dialog.withdrawn",
    "declined": "dialog.declined",
    "retracted": "dialog.retracted",
    "requested": "dialog.requested",
    "expired": "dialog.expired",
}


class _Block(msgspec.Struct, frozen=True):
    """What one read gave, of which dialogs, the last row that it looked at, and whether there are more after it."""

    items: list[KeptMessage]
    dialogs: set[int]
    last: MessageRow | None
    more: bool


def _select(wanted: Filter, sight: Sight, order: Order, walk: Walk, length: int) -> Selection:
    """Return a selection of one row more than is shown, which tells whether there is a next page."""
    return Selection(
        filter=wanted,
        order=order,
        watermark=walk.watermark,
        limit=length + 1,
        after=walk.after,
        sight=sight.purposes,
    )


def _advance(walk: Walk, order: Order, last: MessageRow | Position | None) -> Walk:
    """Return where the walk stands after `last`, or at its end."""
    if last is not None:
        return Walk(walk.watermark, Position(last.received_at, last.dialog, last.seq))
    if order == "stored":
        passed = max(walk.watermark, walk.after.dialog if walk.after else 0)
        return Walk(walk.watermark, Position(0, passed, _LAST_SEQ))
    return walk
