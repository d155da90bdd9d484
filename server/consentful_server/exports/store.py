"""Exports, and the feed of erasures that those who made them read (GDPR art. 19)."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from ..access_log.store import Logged, Note


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent as one stream; the access log knows of which dialogs. It is `complete` if nothing is missing.

    `size` (bytes) and `sha256` are of the file, before any content coding; `place` is where the feed stood at first;
    `damaged` is how many dialogs belonged in it and did not open.
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
    """One entry of the feed: its place, the dialog by its id and by its internal number, when, and for what it was."""

    place: int
    dialog_id: str
    number: int
    erased_at: int
    purposes: tuple[str, ...]


class ExportStore(Protocol):
    """The store's exports, and its feed of erasures, in the order in which they were committed."""

    async def add(self, export: Export, note: Note) -> None:
        """Put an export on record, and in the access log, once it was sent."""
        ...

    async def find(self, export_id: str) -> Export | None: ...

    async def entries(self, export_id: str) -> list[Logged]:
        """Return what the access log says of an export: that it began, and what was sent."""
        ...

    async def erased(self, after: int, limit: int) -> list[ErasedDialog]:
        """Return dialogs that were stored once and are erased, after a place in the feed."""
        ...

    async def place(self) -> int:
        """Return the last place in the feed, 0 if there is none."""
        ...

    async def follow(self, who: str, place: int, at: int) -> None:
        """Note how far a recipient has read the feed; it never goes back."""
        ...

    async def followed(self) -> Mapping[str, int]:
        """Return how far each recipient has read."""
        ...
