"""Exports as a store keeps them, and the feed of erasures for their recipients (GDPR art. 19)."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from ..access_log.store import Logged, Note


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one stream. The access log lists its dialogs. `complete` means that the reader took all of it.

    `size` (bytes) and `sha256` are of the file before any content coding. `place` is the place in the feed of erasures
    when the stream began. `damaged` counts dialogs that match and could not be opened.
    """

    id: str
    who: str
    shape: str
    media: str
    place: int
    rows: int
    size: int
    sha256: bytes
    complete: bool
    damaged: int


class ErasedDialog(msgspec.Struct, frozen=True):
    """One entry of the feed: place, dialog id, internal number, time (microseconds), purposes of the consent."""

    place: int
    dialog_id: str
    number: int
    erased_at: int
    purposes: tuple[str, ...]


class ExportStore(Protocol):
    """The store's exports, and its feed of erasures in commit order."""

    async def add(self, export: Export, note: Note) -> None:
        """Record an export when its stream has ended, with its access-log entry."""
        ...

    async def find(self, export_id: str) -> Export | None: ...

    async def entries(self, export_id: str) -> list[Logged]:
        """Return the access-log entries of an export: that it began, and what was sent."""
        ...

    async def erased(self, after: int, limit: int) -> list[ErasedDialog]:
        """Return up to `limit` erased dialogs after a place in the feed; only dialogs that had been stored."""
        ...

    async def place(self) -> int:
        """Return the last place in the feed; 0 if it is empty."""
        ...

    async def follow(self, who: str, place: int, at: int) -> None:
        """Record how far a recipient has read the feed (`at` in microseconds); a lower place changes nothing."""
        ...

    async def followed(self) -> Mapping[str, int]:
        """Return how far each recipient has read, by name."""
        ...
