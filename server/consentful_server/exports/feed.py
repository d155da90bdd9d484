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

from ..auth.read_scope import ReadScope
from ..clock import Clock, from_micros, to_micros
from .recipients import Recipients
from .store import ErasedDialog, ExportStore
from .views import Erasure

_BLOCK: Final = 1_000


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

    def _shown(self, erased: ErasedDialog, who: str, of_everyone: bool) -> Erasure:
        return Erasure(
            dialog_id=erased.dialog_id,
            erased_at=from_micros(erased.erased_at),
            exports=self._recipients.exports_with(erased.number, None if of_everyone else who),
            read=self._recipients.read(who, erased.number),
        )
