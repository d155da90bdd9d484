"""The store: what is kept of a consented dialog, and the promises that every store makes.

A store knows nothing of words: all it gets is sealed, but for what filters need. Its promises:

- `keep` returns after one durable transaction, or raises and has left no trace. Lookup, comparison and insert are one
  transaction, so a concurrent duplicate waits for the first. One bad dialog never fails its neighbours.
- `erase` returns after the dialog's key is overwritten, durably, and its rows are gone.
- Readers hold no transaction between calls and never see part of a dialog.
- `order="stored"` is the order of commit: what a walk has passed, nothing is ever committed below.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from ..access_log.store import AccessLog, Note
from ..archive.query import Selection
from ..archive.store import (
    Candidate,
    DialogsOpener,
    Erasure,
    Held,
    MessagesOpener,
    Reason,
    SealedDialog,
    Tombstone,
    Verification,
)
from ..auth.store import Credentials
from ..consent.store import Notices
from ..exports.store import Exports
from ..keys.store import Epochs, Facts
from ..leases import Leases
from ..privacy.store import Requests
from ..statistics.store import Counters

T = TypeVar("T")


class Store(Protocol):
    """Keeps sealed dialogs; see the promises above. Raises `StorageFailed` or `OutcomeUnknown` where it cannot.

    What it keeps beside them has a part of its own each.
    """

    @property
    def notices(self) -> Notices: ...

    @property
    def requests(self) -> Requests: ...

    @property
    def credentials(self) -> Credentials: ...

    @property
    def facts(self) -> Facts: ...

    @property
    def leases(self) -> Leases: ...

    @property
    def access_log(self) -> AccessLog: ...

    @property
    def exports(self) -> Exports: ...

    @property
    def epochs(self) -> Epochs: ...

    @property
    def counters(self) -> Counters: ...

    async def keep(self, candidate: Candidate) -> SealedDialog:
        """Store the dialog, once, and return what is stored.

        Raises:
            Conflict: If its id holds another dialog, or another customer's.
            Erased: If its id was erased or retracted.
        """
        ...

    async def erase(
        self,
        dialog_id: str,
        reason: Reason,
        *,
        owner: str | None = None,
        customer: str | None = None,
        note: Note | None = None,
    ) -> Erasure | None:
        """Erase the dialog, if it is this owner's and this customer's (pseudonym); None means whoever's.

        Returns the earlier outcome if it was erased before, and None if there is no such dialog. What is erased now is
        noted in the access log, in the same transaction, and what its filters knew of the customer is forgotten.
        """
        ...

    async def withdraw(self, withdrawal_hash: bytes, note: Note | None = None) -> Erasure | None:
        """Erase the dialog whose withdrawal code has this hash; the earlier outcome, or None, as `erase` does."""
        ...

    async def dialogs_of(self, customer: str) -> list[Held]:
        """Return every dialog of a customer (pseudonym), the oldest first."""
        ...

    async def still_held(self, dialog_ids: Sequence[str]) -> list[str]:
        """Return which of these dialogs are stored."""
        ...

    async def verify_erased(self, dialog_ids: Sequence[str]) -> Verification:
        """Return what is left of dialogs that were erased, read through a new connection that has cached nothing."""
        ...

    async def expired(self, at: int, limit: int) -> list[str]:
        """Return the ids of dialogs whose retention has ended by `at`, in microseconds; the longest past first."""
        ...

    async def retract(self, dialog_id: str, owner: str, customer: str, note: Note | None = None) -> None:
        """See to it that the dialog is not stored, now or later; another owner's or customer's is left alone."""
        ...

    async def find(self, dialog_id: str) -> SealedDialog | Tombstone | None:
        """Return the dialog with its heads, or what is left of it."""
        ...

    async def watermark(self) -> int:
        """Return the internal number of the dialog that was committed last, 0 if none was."""
        ...

    async def messages(self, selection: Selection, opener: MessagesOpener[T]) -> T:
        """Return what the opener makes of a page of messages, called off the event loop."""
        ...

    async def dialogs(self, selection: Selection, opener: DialogsOpener[T], *, heads: bool = False) -> T:
        """Return what the opener makes of a page of dialogs, with their heads if need be, off the event loop."""
        ...

    async def probe(self) -> None:
        """Return if a write succeeded at most 5 s ago, trying one if need be."""
        ...

    async def close(self) -> None:
        """Finish what is under way, and let go of everything."""
        ...
