"""Verification of the access log: in steps, so that neither the event loop nor a database connection waits for it.

    start ── step ──► Check(more) ── step ──► … ──► Check: the whole log is intact, or the first fault

A step verifies up to `_STEP` entries in blocks. Each block is one short read; its MACs are computed on a thread, which
gives way to decisions, and takes turns with whatever else opens stored data for readers. No lock and no transaction
outlives a block.

Races, and the line that closes each:

(R1) Entries are appended while a step runs: it reads the head first, and ignores entries after it. The next step reads
     the head again, so the last one ends where the log ended when it began.
(R2) An entry is altered after a step has verified it: this verification does not see that, the next one does. It cannot
     hide anything: the next step continues from the link that was verified, not from what is stored by then.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

import msgspec

from ..errors import BadRequest
from .chain import FIRST_LINK, Chain, Head
from .commitments import Commitments
from .store import AccessLogStore, Logged

_BLOCK: Final = 2_000
_STEP: Final = 10_000
"""Entries: a third of a second at 30,000 a second."""
_LOWEST_NUMBER: Final = -(2**63)
"""Lower than every number, also than those that only a forger would use."""


def _work_on() -> None:
    """Give way to nobody."""


class Check(msgspec.Struct, frozen=True):
    """The result of a verification: how many entries are intact, their head, and the first fault; None if there is
    none.

    `last` is the number of the log's last entry. With `more`, the next step begins at `head`.
    """

    entries: int
    head: Head
    fault: str | None
    last: int
    more: bool = False


class Verifier:
    """Verifies one access log. `give_way` is called on a thread, between entries."""

    def __init__(
        self,
        store: AccessLogStore,
        chain: Chain,
        commitments: Commitments,
        *,
        turn: asyncio.Lock | None = None,
        give_way: Callable[[], None] = _work_on,
    ) -> None:
        self._store = store
        self._chain = chain
        self._commitments = commitments
        self._turn = turn or asyncio.Lock()
        self._give_way = give_way

    async def check(self, anchor: Head | None = None) -> Check:
        """Verify every entry against the chain, the stored values against their commitments, and all of it against the
        anchor.
        """
        found = await self.step(Head(), anchor)
        while found.more:
            found = await self.step(found.head, anchor)
        return found

    async def step(self, start: Head, anchor: Head | None = None) -> Check:
        """Verify the next entries, after those up to `start`, which earlier steps have verified with this anchor."""
        end = await self._store.head()  # (R1)
        at = self._chain.sealed(start)  # (R2)
        async for block in self._blocks(at.number, end.number):
            async with self._turn:
                at, fault = await asyncio.to_thread(self._examine, at, block)
            if fault := fault or _anchor_fault(anchor, block):
                return Check(at.number, at, fault, end.number)
        if at.number < end.number and at.number - start.number >= _STEP:
            return Check(at.number, at, None, end.number, more=True)
        return Check(at.number, at, self._end_fault(at, end) or _missing(anchor, at), end.number)

    async def _blocks(self, verified: int, end: int) -> AsyncGenerator[list[Logged]]:
        after = verified or _LOWEST_NUMBER
        read = 0
        while read < _STEP and (block := await self._store.links(after, _BLOCK)):
            after = block[-1].link.entry.number
            read += len(block)
            yield [logged for logged in block if logged.link.entry.number <= end]  # (R1)
            if after >= end:
                return

    def _examine(self, at: Head, block: list[Logged]) -> tuple[Head, str | None]:
        """Return the head after the entries of the block that are intact, and the first fault. Runs on a thread."""
        for logged in block:
            self._give_way()
            after, broken = self._chain.breaks(at, [logged.link])
            if broken is not None:
                return at, f"entry {broken} was altered, removed or inserted"
            at = after
            if not self._holds(logged):
                return at, f"the filter values of entry {at.number} were altered"
        return at, None

    def _holds(self, logged: Logged) -> bool:
        """Return whether the values are those of the entry's commitment; True if they were erased, or have ended."""
        entry = logged.link.entry
        if logged.sealed is None:
            return True
        return entry.commitment is not None and self._commitments.holds(entry.filters, entry.commitment, logged.sealed)

    def _end_fault(self, at: Head, end: Head) -> str | None:
        if self._chain.is_genuine(end) and (at.number, at.link) == (end.number, end.link):
            return None
        return f"the log should not end with entry {at.number}: entries were removed or forged"


def read_head(text: str) -> Head:
    """Parse a head from `number:hash`.

    Raises:
        BadRequest: If the text is not a head.
    """
    number, separator, link = text.strip().partition(":")
    try:
        head = Head(int(number), bytes.fromhex(link))
    except ValueError:
        head = Head(-1)
    if not separator or head.number < 0 or len(head.link) != len(FIRST_LINK):
        raise BadRequest("head", "a head as `consentful verify --log` prints it, such as 12:9f86d0…")
    return head


def _anchor_fault(anchor: Head | None, block: list[Logged]) -> str | None:
    """Return the fault if the anchor's number is in this block and another entry has it."""
    if anchor is None or not block or not block[0].link.entry.number <= anchor.number <= block[-1].link.entry.number:
        return None
    there = block[anchor.number - block[0].link.entry.number].link
    return None if there.link == anchor.link else f"entry {anchor.number} differs from the saved head"


def _missing(anchor: Head | None, at: Head) -> str | None:
    """Return the fault if the log ends before the anchor."""
    return None if anchor is None or anchor.number <= at.number else f"the log ends before entry {anchor.number}"
