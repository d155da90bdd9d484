"""The feed of erasures: who was handed a dialog is told when it is erased (GDPR art. 19)."""

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
    """Erasures in the order in which they were committed, the place that they lead to, and whether there are more."""

    items: list[Erasure]
    place: int
    more: bool


class Feed:
    """One deployment's feed of erasures."""

    def __init__(self, store: ExportStore, recipients: Recipients, clock: Clock) -> None:
        self._store = store
        self._recipients = recipients
        self._clock = clock

    async def read(self, after: int, limit: int, scope: ReadScope, *, of_everyone: bool) -> FeedPage:
        """Return what was erased after a place in the feed, with the caller's exports that held it, or everyone's.

        To ask from a place on is to have been told of all before it: that is recorded.
        """
        who = scope.by.name
        if after:
            await self._store.follow(who, after, to_micros(self._clock.now()))
        await self._recipients.refresh()
        erased = await self._store.erased(after, limit + 1)
        items = [self._told(it, who, of_everyone) for it in erased[:limit] if scope.covers(it.purposes)]
        return FeedPage(items, erased[:limit][-1].place if erased else after, len(erased) > limit)

    async def untold_since(self) -> datetime | None:
        """Return when the oldest erasure happened that a recipient was not told of yet; None if there is none."""
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

    def _told(self, erased: ErasedDialog, who: str, of_everyone: bool) -> Erasure:
        return Erasure(
            dialog_id=erased.dialog_id,
            erased_at=from_micros(erased.erased_at),
            exports=self._recipients.exports_with(erased.number, None if of_everyone else who),
            read=self._recipients.read(who, erased.number),
        )
