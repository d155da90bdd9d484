"""Exports: what was sent, what has become of it since, and who must be told (GDPR art. 19)."""

from typing import Any, Final

import msgspec

from ..access_log.log import Logbook
from ..auth.read_scope import ReadScope
from ..clock import Clock, to_micros
from ..errors import NotFound
from ..stores.store import Store
from .recipients import Recipients
from .store import ErasedDialog, Export

_BLOCK: Final = 1_000


class Manifest(msgspec.Struct, frozen=True):
    """One export: the record of it, what was asked for, when (microseconds), and what was erased since.

    `record` is None while it runs, and for good if the server died meanwhile.
    """

    id: str
    who: str
    wanted: dict[str, Any] | None
    began_at: int
    ended_at: int | None
    record: Export | None
    erased: list[str]


class Told(msgspec.Struct, frozen=True):
    """One erasure, as a recipient is told: the exports of theirs that held the dialog, and whether any page did."""

    erased: ErasedDialog
    exports: list[str]
    was_read: bool


class Exports:
    """One deployment's exports."""

    def __init__(self, store: Store, logbook: Logbook, clock: Clock) -> None:
        self._store = store
        self._logbook = logbook
        self._clock = clock
        self._recipients = Recipients(store)

    async def manifest(self, export_id: str, who: str | None) -> Manifest:
        """Return an export of theirs; None means anyone's.

        Raises:
            NotFound: If there is none.
        """
        entries = await self._store.exports.entries(export_id)
        began = next((logged for logged in entries if logged.link.entry.action.endswith(".streamed")), None)
        if began is None or who not in (None, began.link.entry.who):
            raise NotFound
        record = await self._store.exports.find(export_id)
        ended = entries[-1].link.entry
        return Manifest(
            id=export_id,
            who=began.link.entry.who,
            wanted=self._logbook.values_of(began),
            began_at=began.link.entry.at,
            ended_at=None if record is None else ended.at,
            record=record,
            erased=[] if record is None else await self._erased_of(record),
        )

    async def erasures(
        self, after: int, limit: int, scope: ReadScope, *, all_of_it: bool
    ) -> tuple[list[Told], int, bool]:
        """Return what was erased after a place in the feed, the place that this leads to, and whether there is more.

        To ask from a place on is to have been told of all before it: that is noted.
        """
        who = scope.by.name
        if after:
            await self._store.exports.follow(who, after, to_micros(self._clock.now()))
        await self._recipients.refresh()
        erased = await self._store.exports.erased(after, limit + 1)
        told = [
            Told(
                it,
                self._recipients.exports_with(it.number, None if all_of_it else who),
                self._recipients.read(who, it.number),
            )
            for it in erased[:limit]
            if scope.covers(it.purposes)
        ]
        return told, erased[:limit][-1].place if erased else after, len(erased) > limit

    async def untold_since(self) -> int | None:
        """Return when the oldest erasure happened that a recipient was not told of yet, in microseconds."""
        await self._recipients.refresh()
        followed = await self._store.exports.followed()
        waiting = {name: followed.get(name, 0) for name in self._recipients.names()}
        after = min(waiting.values(), default=0)
        while waiting and (block := await self._store.exports.erased(after, _BLOCK)):
            for it in block:
                if any(it.place > seen and self._recipients.holds(name, it.number) for name, seen in waiting.items()):
                    return it.erased_at
            after = block[-1].place
        return None

    async def _erased_of(self, export: Export) -> list[str]:
        await self._recipients.refresh()
        found: list[str] = []
        after = export.place
        while block := await self._store.exports.erased(after, _BLOCK):
            found += [it.dialog_id for it in block if export.id in self._recipients.exports_with(it.number, export.who)]
            after = block[-1].place
        return found
