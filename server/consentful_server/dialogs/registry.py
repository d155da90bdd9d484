"""Who is live in this process: every holder of a dialog, who has which dialog id, and the memory they share."""

import asyncio
from typing import Final, Protocol

from ..errors import Conflict, Overloaded

DIALOG_BYTES: Final = 16 * 1024
"""What an open dialog costs before anything is said, measured with 10,000 of them."""

_CLOSED_AT_ONCE: Final = 500
_BETWEEN_BATCHES_S: Final = 0.5
"""Closing everybody at once would bring everybody back at once, on another node."""


class Holder(Protocol):
    """Whoever holds a live dialog in memory: a connection, or the original contract's waiting room."""

    @property
    def owner(self) -> str: ...

    @property
    def customer_id(self) -> str: ...

    def tick(self, now: float) -> None:
        """Do what time asks for; called about every second with seconds that only grow."""
        ...

    async def settled(self) -> None:
        """Return once no decision is under way."""
        ...

    def supersede(self) -> None:
        """Let the dialog go, because a newer connection has it."""
        ...

    async def drain(self, in_s: float) -> None:
        """Tell the client that the server stops."""
        ...

    async def close_draining(self) -> None:
        """Let the dialog go, because the server stops; a decision under way comes first."""
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
    def bytes_used(self) -> int:
        return self._used

    def holder_of(self, dialog_id: str) -> Holder | None:
        return self._by_dialog.get(dialog_id)

    def check_room(self) -> None:
        """See that another dialog fits.

        Raises:
            Overloaded: If it does not.
        """
        if self._used + DIALOG_BYTES > self._limit:
            raise Overloaded

    def take(self, size: int) -> None:
        """Count memory that is held from now on.

        Raises:
            Overloaded: If it does not fit; nothing is counted.
        """
        if self._used + size > self._limit:
            raise Overloaded
        self._used += size

    def give_back(self, size: int) -> None:
        self._used -= size

    def enter(self, holder: Holder) -> None:
        self._holders.add(holder)
        self._empty.clear()

    def leave(self, holder: Holder) -> None:
        self._holders.discard(holder)
        if not self._holders:
            self._empty.set()

    async def claim(self, dialog_id: str, holder: Holder) -> None:
        """Make `holder` the only one of this dialog in this process.

        A newer connection of the same credential and customer wins, because a half-open socket must not lock a
        customer out; a decision that is under way is waited for.

        Raises:
            Conflict: If another credential or customer has it.
        """
        while (older := self._by_dialog.get(dialog_id)) is not None:
            if (older.owner, older.customer_id) != (holder.owner, holder.customer_id):
                raise Conflict
            await older.settled()
            if self._by_dialog.get(dialog_id) is older:  # nobody was quicker, and it did not let go by itself
                older.supersede()
                self.release(dialog_id, older)
        self._by_dialog[dialog_id] = holder

    def register(self, dialog_id: str, holder: Holder) -> None:
        """Make `holder` the only one of this dialog, if nobody has it.

        Raises:
            Conflict: If somebody has.
        """
        if dialog_id in self._by_dialog:
            raise Conflict
        self._by_dialog[dialog_id] = holder
        self.enter(holder)

    def release(self, dialog_id: str, holder: Holder) -> None:
        """Forget who has the dialog, unless a newer holder took it over."""
        if self._by_dialog.get(dialog_id) is holder:
            del self._by_dialog[dialog_id]

    def tick(self, now: float) -> None:
        for holder in list(self._holders):
            holder.tick(now)

    async def drain(self, grace_s: float) -> None:
        """Let the dialogs end within the grace time, then let go of the rest, a few at a time."""
        telling = asyncio.gather(*(holder.drain(grace_s) for holder in list(self._holders)))
        try:
            async with asyncio.timeout(grace_s):
                await self._empty.wait()
        except TimeoutError:
            await self._close_the_rest()
        finally:
            telling.cancel()  # one that does not read can be told nothing

    async def _close_the_rest(self) -> None:
        rest = list(self._holders)
        for start in range(0, len(rest), _CLOSED_AT_ONCE):
            if start:
                await asyncio.sleep(_BETWEEN_BATCHES_S)
            batch = rest[start : start + _CLOSED_AT_ONCE]
            await asyncio.gather(*(holder.close_draining() for holder in batch))
