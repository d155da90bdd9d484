"""The feed of erasures: a recipient reads which dialogs were erased, and deletes its copies (GDPR art. 19).

    client                                        service
    GET /v1/erasures                ──────────►   erasures after place 0, and a cursor to place 40
    deletes its copies
    GET …?cursor=<place 40>         ──────────►   records that the client has followed up to 40; the next erasures

Delivery is at least once: reading a page records nothing, asking for the page after it does. A client that dies before
it has deleted its copies asks again from the old place.

The feed is in commit order, and a place is never used twice, so an erasure cannot appear before a place that was read.

Races, and the line that closes each:

(R1) A dialog is disclosed and erased while a page is made: the erasures are read first and the recipients are brought
     up to date afterwards, so each erasure is told with every disclosure that was logged before it.
(R2) One recipient's requests arrive out of order: the recorded place only grows (`ExportStore.follow`).

One race stays open: a page of data is read before an erasure, and logged after the reader has read that erasure in the
feed; `read` is false there. A client that reads data first and the feed afterwards, as `consentful.Reader.sync` does,
still deletes it.
"""

from datetime import datetime
from typing import Final

import msgspec
from pyroaring import BitMap

from ..auth.read_scope import ReadScope
from ..clock import Clock, from_micros, to_micros
from .recipients import Recipients
from .store import ErasedDialog, ExportStore
from .views import Erasure, StaleExport, ToldRecipient

_BLOCK: Final = 1_000
_MOST_EXPORTS: Final = 100


class FeedPage(msgspec.Struct, frozen=True):
    """Erasures in commit order, the place after them, and whether more follow."""

    items: list[Erasure]
    place: int
    more: bool


class Feed:
    """The feed of erasures of one deployment."""

    def __init__(self, store: ExportStore, recipients: Recipients, clock: Clock) -> None:
        self._store = store
        self._recipients = recipients
        self._clock = clock

    async def read(self, after: int, limit: int, scope: ReadScope, *, of_everyone: bool) -> FeedPage:
        """Return up to `limit` erasures after a place, with the caller's exports that held the dialog, or everyone's.

        It tells of dialogs within the caller's purposes, and of those that the caller was shown.

        Asking for what follows a place confirms all erasures before it, which is recorded.
        """
        who = scope.by.name
        if after:
            await self._store.follow(who, after, to_micros(self._clock.now()))  # (R2)
        erased = await self._store.erased(after, limit + 1)
        await self._recipients.refresh()  # (R1) after the erasures were read
        # Other erasures are left out, but the place moves past them. A dialog that the caller was shown may since have
        # been narrowed to purposes that are not the caller's: its copy must be deleted all the same (GDPR art. 19).
        items = [
            self._shown(it, who, of_everyone)
            for it in erased[:limit]
            if scope.covers(it.purposes) or self._recipients.holds(who, it.number)
        ]
        return FeedPage(items, erased[:limit][-1].place if erased else after, len(erased) > limit)

    async def unconfirmed_since(self) -> datetime | None:
        """Return when the oldest erasure happened that some recipient has not confirmed; None if all are confirmed."""
        await self._recipients.refresh()
        followed = await self._store.followed()
        waiting = {name: followed.get(name, 0) for name in self._recipients.names()}
        after = min(waiting.values(), default=0)
        while waiting and (block := await self._store.erased(after, _BLOCK)):
            for it in block:
                if any(it.place > seen and self._recipients.holds(name, it.number) for name, seen in waiting.items()):
                    return from_micros(it.erased_at)
            after = block[-1].place
        return None

    async def recipients(self) -> list[ToldRecipient]:
        """Return every recipient, by name, with the erasures of dialogs that it was shown."""
        await self._recipients.refresh()
        followed = await self._store.followed()
        held = {who: self._recipients.dialogs_of(who) for who in sorted(self._recipients.names())}
        erased, unread = BitMap(), {who: BitMap() for who in held}
        oldest: dict[str, int] = {}
        after = 0
        while block := await self._store.erased(after, _BLOCK):
            erased.update(it.number for it in block)
            for who, dialogs in held.items():
                ahead = [it for it in block if it.place > followed.get(who, 0) and it.number in dialogs]
                unread[who].update(it.number for it in ahead)
                if ahead:
                    oldest.setdefault(who, min(it.erased_at for it in ahead))
            after = block[-1].place
        return [
            ToldRecipient(
                who=who,
                dialogs=len(dialogs),
                erased=len(dialogs & erased),
                unconfirmed=len(unread[who]),
                unconfirmed_since=from_micros(oldest[who]) if who in oldest else None,
                exports=self._stale(who, erased, unread[who]),
            )
            for who, dialogs in held.items()
        ]

    def _stale(self, who: str, erased: BitMap, unread: BitMap) -> list[StaleExport]:
        """Return the latest of the recipient's exports that hold erased dialogs, newest first."""
        found = [
            StaleExport(id=name, dialogs=len(held), erased=len(held & erased), unconfirmed=len(held & unread))
            for name, held in self._recipients.exports_of(who).items()
            if not held.isdisjoint(erased)
        ]
        return found[: -_MOST_EXPORTS - 1 : -1]

    def _shown(self, erased: ErasedDialog, who: str, of_everyone: bool) -> Erasure:
        return Erasure(
            dialog_id=erased.dialog_id,
            erased_at=from_micros(erased.erased_at),
            exports=self._recipients.exports_with(erased.number, None if of_everyone else who),
            read=self._recipients.read(who, erased.number),
        )
