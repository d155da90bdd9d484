"""Recipients: who was handed which dialogs, by the access log (GDPR art. 15(1)(c), 19).

The log is the record; this is an index over it in memory, which grows with the log and is never told anything else.
Bitmaps of a million dialogs take about a hundred kilobytes each.
"""

from collections import defaultdict
from typing import Final

from pyroaring import BitMap

from ..access_log.chain import HANDED_OUT, Entry, unpack
from ..access_log.store import AccessLogStore

_BLOCK: Final = 2_000


class Recipients:
    """Knows who holds a copy of what."""

    def __init__(self, store: AccessLogStore) -> None:
        self._store = store
        self._read_up_to = 0
        self._streams: defaultdict[str, dict[str, BitMap]] = defaultdict(dict)
        self._pages: defaultdict[str, BitMap] = defaultdict(BitMap)

    async def refresh(self) -> None:
        """Take in what was logged since the last time."""
        while block := await self._store.links(self._read_up_to, _BLOCK):
            for logged in block:
                self._take(logged.link.entry)
            self._read_up_to = block[-1].link.entry.number

    def names(self) -> set[str]:
        """Return everyone who was handed anything."""
        return set(self._streams) | set(self._pages)

    def exports_with(self, dialog: int, who: str | None = None) -> list[str]:
        """Return the ids of the streams that held the dialog, a recipient's or everyone's, oldest first."""
        names = sorted(self._streams) if who is None else [who]
        return [stream for name in names for stream, held in self._streams[name].items() if dialog in held]

    def read(self, who: str, dialog: int) -> bool:
        """Whether it was on a page of theirs."""
        return dialog in self._pages[who]

    def holds(self, who: str, dialog: int) -> bool:
        """Whether it was ever handed to them, in a stream or on a page."""
        return self.read(who, dialog) or any(dialog in held for held in self._streams[who].values())

    def _take(self, entry: Entry) -> None:
        if entry.dialogs is None or entry.action not in HANDED_OUT:
            return
        dialogs = unpack(entry.dialogs)
        if entry.subject is None:
            self._pages[entry.who] |= dialogs
        else:
            self._streams[entry.who][entry.subject] = dialogs
