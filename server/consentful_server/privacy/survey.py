"""What the ledgers say, taken together: the same in whatever order their entries are read.

Several processes write ledgers of their own, and no clock or number orders the entries of all of them. So each kind of
entry is joined in a way that needs no order:

    erased       the dialog is erased; of several entries, the one with the latest place in the feed
    retracted, revoked     all of them
    narrowed     the purposes that are in all entries of the dialog: a consent is only ever narrowed, so that is the
                 narrowest. If they have none in common, one of them was answered with an error: then the latest is true
    retired      the latest entry of the notice
    numbered, places       the highest

So a narrowing that was answered with an error may be done again together with a later one, never the other way round:
no consent is ever wider than the customer last said.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import msgspec

from ..archive.store import Retraction
from .ledger import (
    Entry,
    ErasedEntry,
    NarrowedEntry,
    NumberedEntry,
    RetiredEntry,
    RetractedEntry,
    RevokedEntry,
)

Erasures: TypeAlias = dict[str, ErasedEntry]
"""One entry for each erased dialog, by its id."""


class Narrowing(NamedTuple):
    """What the entries of one dialog have in common, and the latest of them."""

    common: frozenset[str]
    latest: tuple[int, tuple[str, ...]]

    @property
    def purposes(self) -> tuple[str, ...]:
        _, last = self.latest
        return tuple(it for it in last if it in self.common) or last


class Survey:
    """What was read of the ledgers so far, but for the erasures: there may be too many to hold in memory."""

    def __init__(self) -> None:
        self.place = 0
        """The last place of the feed of erasures."""
        self.numbered = 0
        """Internal numbers of dialogs up to this one may have been given out."""
        self.narrowed: dict[str, Narrowing] = {}
        self.retracted: set[Retraction] = set()
        self.revoked: set[str] = set()
        self.retired: dict[str, RetiredEntry] = {}

    def add(self, entry: Entry) -> None:
        match entry:
            case ErasedEntry(tombstone, place):
                self.place = max(self.place, place)
                self.numbered = max(self.numbered, tombstone.number or 0)
            case NumberedEntry(dialogs):
                self.numbered = max(self.numbered, dialogs)
            case NarrowedEntry():
                self._narrow(entry)
            case RetractedEntry(retraction):
                self.retracted.add(retraction)
            case RevokedEntry(key_id):
                self.revoked.add(key_id)
            case RetiredEntry(notice_id):
                known = self.retired.get(notice_id, entry)
                self.retired[notice_id] = max(known, entry, key=lambda it: (it.at, msgspec.json.encode(it)))

    def _narrow(self, entry: NarrowedEntry) -> None:
        purposes, latest = frozenset(entry.purposes), (entry.at, entry.purposes)
        if known := self.narrowed.get(entry.dialog_id):
            purposes, latest = known.common & purposes, max(known.latest, latest)
        self.narrowed[entry.dialog_id] = Narrowing(purposes, latest)


def by_dialog(entries: Iterable[Entry]) -> Erasures:
    """Return one entry for each dialog that these entries say is erased."""
    erasures: Erasures = {}
    for entry in entries:
        if isinstance(entry, ErasedEntry):
            name = entry.tombstone.dialog_id
            erasures[name] = preferred(erasures.get(name, entry), entry)
    return erasures


def preferred(one: ErasedEntry, other: ErasedEntry) -> ErasedEntry:
    """Return which of two entries of one dialog counts: an erasure that failed was repeated at a later place."""
    return max(one, other, key=lambda it: (it.place, msgspec.json.encode(it)))
