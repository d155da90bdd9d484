"""Which ledger this process appends to, where several machines share a store: one that no other process appends to.

A lease of the store makes it this process's own: the lowest free one of `erasures.ledger`, `erasures-2.ledger`, …. So
there are as many files as processes ran at once, whatever they are called and however often they are replaced. Only the
lease decides; nothing is locked in the file system, because network file systems break such locks.

    free ──claim──► held ──renew, every 30 s──► held
                     │ closed               │ not renewed for `LENGTH`, and claimed by another process
                     ▼                      ▼
                   free                   lost ──renew──► held, under another name

Races, and the line that closes each:

(R1) Two processes want the same ledger: taking a lease is one transaction, and one of them gets it.
(R2) A process was suspended for longer than `LENGTH`, and another one claimed its ledger: each transaction that adds
     entries asks whether the ledger is still its own, under the lock that the other one's claim had, too (the writer),
     and is rolled back if not. Until this process has claimed another ledger, it stores nothing that needs one.
(R3) A process crashes: its ledger stays with what it has, and is free after `LENGTH`. Every start reads it.
"""

import logging
import secrets
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Final

from ..errors import OutcomeUnknown, StorageFailed
from ..leases import Leases
from .ledger import Ledger, name_of

LENGTH: Final = timedelta(minutes=5)

_log: Final = logging.getLogger("consentful.server")


class LedgerClaim:
    """Claims a ledger for this process, and renews the claim."""

    def __init__(self, ledger: Ledger, leases: Leases) -> None:
        self._ledger = ledger
        self._leases = leases
        self._holder = secrets.token_hex(8)

    async def claim(self) -> None:
        """Let the ledger be the first that no other process has (R1).

        Raises:
            BadKeys: If it cannot be written.
        """
        for number in count(1):
            name = name_of(number)
            if await self._leases.take(name, self._holder, LENGTH):
                self._ledger.continue_as(name, self._holder)
                return

    async def renew(self) -> None:
        """Keep the claim, or claim another ledger if it was lost (R2)."""
        if not await self._leases.take(self._ledger.name, self._holder, LENGTH):
            _log.warning(
                "another process has claimed the ledger; claiming another one", extra={"was": self._ledger.name}
            )
            await self.claim()

    async def release(self) -> None:
        """Leave the ledger to the next process that starts. Where that cannot be written, the claim ends by itself."""
        with suppress(StorageFailed, OutcomeUnknown):
            await self._leases.release(self._ledger.name, self._holder)
