"""The live dialogs of one process: which there are, which of them has which dialog id, and the memory they share.

    a dialog:     ABSENT ──enter──► PRESENT ──leave──► ABSENT          `drain` returns once all are absent
    a dialog id:  FREE ──claim, register──► HELD ──release──► FREE     by one dialog at a time

Everything runs on the event loop's thread. Dialogs call `enter`, `claim`, `take` and their opposites; the registry
calls them back in `tick`, `claim` and `drain`. Only `drain` awaits anything, so in every other method what was looked
up still holds when it is acted on.

Races, and the line that closes each:

(R1) Two connections open the same id: `claim` looks up and sets without an await in between. The newer one wins,
     because a half-open connection must not lock a customer out.
(R2) A newcomer opens the id of a dialog whose decision is under way: `claim` changes nothing and returns the event
     that is set once the outcome is known. The newcomer then calls `claim` again, from the beginning: by then another
     one may have the id.
(R3) The older dialog ends after a newer one took its id: `release` compares the holders.
(R4) Dialogs end and leave while all are ticked or drained: both walk over a copy.
(R5) The last dialog leaves while `drain` waits: `leave` sets the event that it waits for.
"""

import asyncio
from collections.abc import Iterator
from typing import Final, Protocol

from ..errors import Conflict, Overloaded

DIALOG_BYTES: Final = 8 * 1024
"""Memory that an open dialog takes before anything is said: less than 5 kB, measured with 5,000 of them, and some to
spare for what a client leaves unread."""

_TICKED_AT_ONCE: Final = 50
"""A fifth of a millisecond's work, which whoever speaks meanwhile may have to wait for; for 10,000 dialogs at once,
everybody would wait 30 ms each second."""

_CLOSED_AT_ONCE: Final = 500
_BETWEEN_BATCHES_S: Final = 0.5
"""If all were closed at once, all would reconnect at once, to another node."""


class Holder(Protocol):
    """One dialog in memory, as the registry sees it."""

    @property
    def owner(self) -> str:
        """The credential that opened it."""
        ...

    @property
    def customer_id(self) -> str: ...

    @property
    def deciding(self) -> asyncio.Event | None:
        """Is set once the outcome of the decision under way is known; None if none is under way."""
        ...

    def tick(self, now: float) -> None:
        """Do what is due; called about every second, with seconds that only grow."""
        ...

    def supersede(self) -> None:
        """End, because a newer connection took the dialog id. No decision is under way."""
        ...

    def announce_drain(self, in_s: float) -> None:
        """Tell the client that the server stops in so many seconds."""
        ...

    async def close_draining(self) -> None:
        """Wait for a decision under way, end, and return once the connection is closed."""
        ...


class Registry:
    """The live dialogs of one process."""

    def __init__(self, memory_limit: int) -> None:
        self._limit = memory_limit
        self._used = 0
        self._holders: set[Holder] = set()
        self._by_dialog: dict[str, Holder] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._holders)

    @property
    def limit(self) -> int:
        """Memory that all dialogs may take, in bytes."""
        return self._limit

    @property
    def bytes_used(self) -> int:
        return self._used

    def check_room(self) -> None:
        """Check that another dialog fits into memory.

        Raises:
            Overloaded: If it does not.
        """
        if self._used + DIALOG_BYTES > self._limit:
            raise Overloaded(limit="memory")

    def take(self, size: int) -> None:
        """Count memory, in bytes, that is in use from now on.

        Raises:
            Overloaded: If it exceeds the limit; nothing is counted.
        """
        if self._used + size > self._limit:
            raise Overloaded(limit="memory")
        self._used += size

    def give_back(self, size: int) -> None:
        self._used -= size

    def enter(self, holder: Holder) -> None:
        self._holders.add(holder)
        self._empty.clear()

    def leave(self, holder: Holder) -> None:
        self._holders.discard(holder)
        if not self._holders:
            self._empty.set()  # (R5)

    def claim(self, dialog_id: str, holder: Holder) -> asyncio.Event | None:
        """Give the dialog id to `holder`, and end the dialog of the same credential and customer that had it.

        Returns None when that is done. If a decision about the older dialog is under way, nothing changes: wait for
        the event that is returned, then call this again.

        Raises:
            Conflict: If another credential or customer has the id.
        """
        older = self._by_dialog.get(dialog_id)
        if older is not None:
            if (older.owner, older.customer_id) != (holder.owner, holder.customer_id):
                raise Conflict
            if older.deciding is not None:
                return older.deciding  # (R2)
            older.supersede()
        self._by_dialog[dialog_id] = holder  # (R1)
        return None

    def register(self, dialog_id: str, holder: Holder) -> None:
        """Give the dialog id to `holder`, if it is free.

        Raises:
            Conflict: If it is not.
        """
        if dialog_id in self._by_dialog:
            raise Conflict
        self._by_dialog[dialog_id] = holder

    def release(self, dialog_id: str, holder: Holder) -> None:
        """Free the dialog id, unless a newer dialog has it."""
        if self._by_dialog.get(dialog_id) is holder:  # (R3)
            del self._by_dialog[dialog_id]

    def tick(self, now: float) -> None:
        """Tick every dialog."""
        for _ in self.tick_in_turns(now):
            pass

    def tick_in_turns(self, now: float) -> Iterator[None]:
        """Tick every dialog, and yield after some: with thousands of them the caller lets others run in between."""
        for number, holder in enumerate(list(self._holders), 1):  # (R4)
            holder.tick(now)
            if number % _TICKED_AT_ONCE == 0:
                yield

    async def drain(self, grace_s: float) -> None:
        """Announce the stop, wait until all dialogs have left, and close in batches those that remain after it."""
        for holder in list(self._holders):  # (R4)
            holder.announce_drain(grace_s)
        try:
            async with asyncio.timeout(grace_s):
                await self._empty.wait()
        except TimeoutError:
            await self._close_the_rest()

    async def _close_the_rest(self) -> None:
        rest = list(self._holders)
        for start in range(0, len(rest), _CLOSED_AT_ONCE):
            if start:
                await asyncio.sleep(_BETWEEN_BATCHES_S)
            batch = rest[start : start + _CLOSED_AT_ONCE]
            await asyncio.gather(*(holder.close_draining() for holder in batch))
