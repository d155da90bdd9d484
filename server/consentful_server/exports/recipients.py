"""Recipients: who was shown which dialogs, according to the access log (GDPR art. 15(1)(c), 19).

The access log is the record. This is an index over it in memory, built by reading the log from its beginning and kept
up to date by `refresh`; it is never written to otherwise, and a restart builds it again. A bitmap of a million dialogs
takes about a hundred kilobytes. When a dialog was shown is not in memory, but in which chunks of the log that is told.

Everything runs on the event loop. Of several `refresh` calls one reads, and the next goes on where it ended. Entries
are committed in the order of their numbers, so an entry that was not read yet has a higher number than all that were.
"""

import asyncio
from collections import defaultdict
from typing import Final

from pyroaring import BitMap

from ..access_log.chain import DISCLOSED, unpack
from ..access_log.store import AccessLogStore, ShortEntry, Trace
from ..access_log.views import Recipient
from ..clock import from_micros

_BLOCK: Final = 2_000
_CHUNK: Final = 2_000
"""How many numbers of entries share the bitmap of the dialogs that they disclosed."""


class Recipients:
    """An index of recipients and the dialogs that they were shown."""

    def __init__(self, store: AccessLogStore) -> None:
        self._store = store
        self._reading = asyncio.Lock()
        self._read_up_to = 0
        self._streams: defaultdict[str, dict[str, BitMap]] = defaultdict(dict)
        self._pages: defaultdict[str, BitMap] = defaultdict(BitMap)
        self._chunks: defaultdict[int, BitMap] = defaultdict(BitMap)

    async def refresh(self) -> None:
        """Read the entries that were logged since the last call."""
        async with self._reading:
            while block := await self._store.short(Trace(), self._read_up_to, _BLOCK):
                for entry in block:
                    self._add(entry)
                self._read_up_to = block[-1].number

    async def of(self, dialogs: BitMap) -> list[Recipient]:
        """Return which credentials were shown some of these dialogs (GDPR art. 15(1)(c)), by name.

        Only chunks of the log that disclosed one of them are read again.
        """
        await self.refresh()
        shown: dict[str, tuple[int, int, BitMap]] = {}
        for chunk in [chunk for chunk, disclosed in self._chunks.items() if not disclosed.isdisjoint(dialogs)]:
            for entry in await self._store.short(Trace(), chunk * _CHUNK, _CHUNK):
                some = _disclosed_in(entry) & dialogs
                if some and entry.kind == "credential":  # customer and operator are no recipients (GDPR art. 4(9))
                    first, last, others = shown.get(entry.who, (entry.at, entry.at, BitMap()))
                    shown[entry.who] = (min(first, entry.at), max(last, entry.at), others | some)
        return [
            Recipient(who=who, first_at=from_micros(first), last_at=from_micros(last), dialogs=len(which))
            for who, (first, last, which) in sorted(shown.items())
        ]

    def names(self) -> set[str]:
        """Return the names of all recipients."""
        return set(self._streams) | set(self._pages)

    def exports_with(self, dialog: int, who: str | None = None) -> list[str]:
        """Return the ids of the streams that held the dialog, of one recipient or of all, oldest first."""
        names = sorted(self._streams) if who is None else [who]
        return [stream for name in names for stream, held in self._streams[name].items() if dialog in held]

    def read(self, who: str, dialog: int) -> bool:
        """Return whether a page that the recipient read held the dialog."""
        return dialog in self._pages[who]

    def holds(self, who: str, dialog: int) -> bool:
        """Return whether the recipient was ever shown the dialog, in a stream or on a page."""
        return self.read(who, dialog) or any(dialog in held for held in self._streams[who].values())

    def dialogs_of(self, who: str) -> BitMap:
        """Return all dialogs that the recipient was ever shown, by internal number."""
        return BitMap.union(self._pages[who], *self._streams[who].values())

    def exports_of(self, who: str) -> dict[str, BitMap]:
        """Return the dialogs of each of the recipient's ended streams, oldest first."""
        return dict(self._streams[who])

    def _add(self, entry: ShortEntry) -> None:
        if entry.dialogs is None or entry.action not in DISCLOSED:
            return
        dialogs = _disclosed_in(entry)
        self._chunks[(entry.number - 1) // _CHUNK] |= dialogs
        if entry.subject is None:
            self._pages[entry.who] |= dialogs
        else:
            self._streams[entry.who][entry.subject] = dialogs


def _disclosed_in(entry: ShortEntry) -> BitMap:
    return unpack(entry.dialogs) if entry.dialogs is not None and entry.action in DISCLOSED else BitMap()
