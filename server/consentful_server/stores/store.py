"""A store as a whole: one part for the protocol of each domain, and operations on all parts together.

Each protocol stands beside its domain (`archive/store.py`, `keys/store.py`, …). All of them promise:

- A method that writes returns once the write is durable. It raises `StorageFailed` if nothing was written, and
  `OutcomeUnknown` if that cannot be told. A store with an unknown outcome is not ready until it is resolved.
- An access-log entry that a method takes as `note` is written in the method's own transaction.
- Times come from the `Clock` that the store was opened with, or as arguments; never from the database.

Another kind of store implements `Backend` and `Store`, and gets a line in `stores/open.py`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from ..access_log.store import AccessLogStore
from ..annotations.store import AnnotationStore
from ..archive.store import DialogStore
from ..auth.store import CredentialStore
from ..clock import Clock
from ..consent.store import NoticeStore
from ..exports.store import ExportStore
from ..keys.store import EpochStore, FactStore
from ..leases import Leases
from ..privacy.ledger import Ledger
from ..privacy.store import RemainsStore, RequestStore, TrustedTime
from ..statistics.store import CounterStore
from .group_commit import Meter
from .steps import Step
from .tables import Tables

GENERATION: Final = "generation"
"""The name of the fact that each restore changes. A store that was never restored has none."""


class Store(Protocol):
    """All stored data of one deployment."""

    @property
    def dialogs(self) -> DialogStore: ...

    @property
    def annotations(self) -> AnnotationStore: ...

    @property
    def notices(self) -> NoticeStore: ...

    @property
    def requests(self) -> RequestStore: ...

    @property
    def remains(self) -> RemainsStore: ...

    @property
    def credentials(self) -> CredentialStore: ...

    @property
    def facts(self) -> FactStore: ...

    @property
    def epochs(self) -> EpochStore: ...

    @property
    def leases(self) -> Leases: ...

    @property
    def trusted_time(self) -> TrustedTime: ...

    @property
    def access_log(self) -> AccessLogStore: ...

    @property
    def exports(self) -> ExportStore: ...

    @property
    def counters(self) -> CounterStore: ...

    async def engine(self) -> str:
        """Return the name and version of what keeps the data, for operators.

        Raises:
            StorageFailed: If it does not answer.
        """
        ...

    @property
    def waiting(self) -> int:
        """Number of writes that wait for the next commit."""
        ...

    @property
    def is_replica_avoided(self) -> bool:
        """Whether the last read at the read replica failed; False without a replica."""
        ...

    def measure(self, meter: Meter) -> None:
        """Tell the meter of each commit from now on."""
        ...

    async def probe(self) -> None:
        """Return if the last write succeeded, and one did in the last 5 s; otherwise write now.

        Raises:
            StorageFailed, OutcomeUnknown: If the store cannot write.
        """
        ...

    async def hold_reserve(self) -> bool:
        """Allocate the disk reserve for erasures; return whether all of it is allocated, and there is room for dialogs.

        A store without a disk of its own returns True.
        """
        ...

    async def snapshot(self, data: Path, keys: Path) -> None:
        """Write all data as of one moment to two new files.

        `keys` has the dialogs' wrapped keys, and what names their customers: pseudonyms and receipts. `data` has the
        rest, so that it opens and tells nothing of a customer once `keys` is deleted.

        Raises:
            OSError: If a file cannot be written, or the store cannot be read.
        """
        ...

    async def close(self) -> None:
        """Finish pending writes, then close every connection and file."""
        ...


class Contents(msgspec.Struct, frozen=True):
    """What a snapshot's data state about its keys: the facts, and the epochs whose masters may be destroyed."""

    facts: Mapping[str, bytes]
    emptied: Sequence[int]


class Backend(Protocol):
    """The location of a store, opened or not."""

    @property
    def name(self) -> str:
        """The name for messages to operators: a path, or an address without its password."""
        ...

    @property
    def folders(self) -> Sequence[Path]:
        """The folders on this machine that hold the data; empty if another machine does."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether processes on several machines may have it open, so that each needs a ledger of its own."""
        ...

    async def open(self, clock: Clock, ledger: Ledger, reserve: int = 0) -> Store:
        """Return the store, migrated to this program's schema. Each erasure is in the ledger before it commits.

        The store writes to the ledger and closes it. Erasures may use the reserve (bytes).

        Raises:
            BadDatabase: If the schema is newer, the file is not a store, files beside it belong to another store, or it
                cannot be trusted with data.
        """
        ...

    async def tables(self, *, new: bool = False) -> Tables:
        """Return the store's tables, for a move. With `new`, the store is created if there is none.

        Raises:
            BadDatabase: If it cannot be opened, or its schema is not this program's.
        """
        ...

    def pending(self) -> Sequence[Step]:
        """Return the steps that `migrate` would apply; none if there is no store yet. Nothing is changed.

        Raises:
            BadDatabase: As `open` does.
        """
        ...

    def migrate(self) -> Sequence[Step]:
        """Bring the store to this program's schema, creating it if needed; return the steps that were applied.

        Raises:
            BadDatabase: As `open` does.
        """
        ...

    def distribute(self) -> Sequence[str]:
        """Distribute the tables over several machines, once; return the statements that did it.

        Raises:
            BadSetting: If this kind of store cannot be distributed.
            BadDatabase: If this store cannot, or is distributed already; nothing was changed.
        """
        ...

    async def check_idle(self) -> None:
        """Check that no server and no command has the store open.

        Raises:
            BadDatabase: If one has, or may have; nothing was changed.
        """
        ...

    async def destroy(self) -> int:
        """Destroy all data, durably; return how many files or rows are left of them. It can be repeated.

        A store that states afterwards that it has ended is opened by nobody any more.

        Raises:
            BadDatabase: If somebody has it open; nothing was changed.
        """
        ...

    def exists(self) -> bool:
        """Return whether the location holds a store."""
        ...

    def in_the_way(self) -> Sequence[str]:
        """Return the names of what is in the way of a new store here: an earlier store, and files of one."""
        ...

    def contents(self, data: Path) -> Contents:
        """Read the facts and epochs from a snapshot's data, without changing the file.

        Raises:
            BadDatabase: If this program cannot read it.
        """
        ...

    def restore(self, data: Path, keys: Path) -> None:
        """Join a snapshot's two files into a new store, completely or not at all. Its generation is a new one.

        Raises:
            FileExistsError: If the location holds a store.
        """
        ...
