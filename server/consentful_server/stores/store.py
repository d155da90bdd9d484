"""A store as a whole: one part for each domain's protocol, and what is done with all of them at once.

Each part's promises stand beside its domain (`archive/store.py`, `keys/store.py` …). What they share:

- What writes returns once it is durable. It raises `StorageFailed` where nothing was done, and `OutcomeUnknown` where
  nobody can tell; a store that does not know an outcome is not ready until it does.
- An entry of the access log that a method takes as a note is written in the method's own transaction.
- Times come from the `Clock` that the store was opened with, or as arguments; never from the database.

Another kind of store implements `Backend` and `Store`, and has a line in `stores/open.py`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from ..access_log.store import AccessLogStore
from ..archive.store import DialogStore
from ..auth.store import CredentialStore
from ..clock import Clock
from ..consent.store import NoticeStore
from ..exports.store import ExportStore
from ..keys.store import EpochStore, FactStore
from ..leases import Leases
from ..privacy.ledger import Ledger
from ..privacy.store import RequestStore
from ..statistics.store import CounterStore


class Store(Protocol):
    """What one deployment keeps."""

    @property
    def dialogs(self) -> DialogStore: ...

    @property
    def notices(self) -> NoticeStore: ...

    @property
    def requests(self) -> RequestStore: ...

    @property
    def credentials(self) -> CredentialStore: ...

    @property
    def facts(self) -> FactStore: ...

    @property
    def epochs(self) -> EpochStore: ...

    @property
    def leases(self) -> Leases: ...

    @property
    def access_log(self) -> AccessLogStore: ...

    @property
    def exports(self) -> ExportStore: ...

    @property
    def counters(self) -> CounterStore: ...

    async def probe(self) -> None:
        """Return if a write succeeded at most 5 s ago, trying one if need be."""
        ...

    async def hold_reserve(self) -> bool:
        """Hold room back for erasing, from now on; whether all of it is held.

        Where what stores this has no disk of its own to hold room on, that is always so.
        """
        ...

    async def snapshot(self, data: Path, keys: Path) -> None:
        """Write all that is stored at one moment: the dialogs' wrapped keys to one new file, the rest to another."""
        ...

    async def close(self) -> None:
        """Finish what is under way, and let go of everything."""
        ...


class Step(NamedTuple):
    """One step of the schema."""

    number: int
    name: str


class Contents(msgspec.Struct, frozen=True):
    """What a snapshot's data say of the keys that fit them: the facts, and the epochs whose masters may be gone."""

    facts: Mapping[str, bytes]
    emptied: Sequence[int]


class Backend(Protocol):
    """One place where a store is, or will be, whether or not it is open."""

    @property
    def name(self) -> str:
        """How operators call it: a path, or an address without its password."""
        ...

    @property
    def folders(self) -> Sequence[Path]:
        """The folders of this machine that hold what is stored; none if another machine has it."""
        ...

    async def open(self, clock: Clock, ledger: Ledger, reserve: int = 0) -> Store:
        """Return the store, at this program's schema. Every erasure is in the ledger before it is done.

        The ledger is the store's from now on, to write to and to close. What erases may use the reserve (bytes).

        Raises:
            BadDatabase: If its schema is newer, it is no store of ours, or it cannot be trusted with data.
        """
        ...

    def migrate(self) -> Sequence[Step]:
        """Bring the store to this program's schema, making it if there is none; return the steps that this took.

        Raises:
            BadDatabase: As `open` does.
        """
        ...

    def exists(self) -> bool:
        """Whether anything is stored there."""
        ...

    def contents(self, data: Path) -> Contents:
        """Look into the data of a snapshot, and leave them as they are.

        Raises:
            BadDatabase: If they are none that this program reads.
        """
        ...

    def restore(self, data: Path, keys: Path) -> None:
        """Put a snapshot where nothing is stored, whole or not at all."""
        ...
