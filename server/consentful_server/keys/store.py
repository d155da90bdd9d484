"""What a store keeps of keys: facts that identify the root keys, and the epochs of the master key. Nothing is secret.

Promises of the epochs. Once an epoch has begun, no key is kept under an earlier one. Once one is empty, neither the
database nor its log holds a key under it or any before it, ever again. Once one has ended, the erasures made under it
are complete.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec


class Epoch(msgspec.Struct, frozen=True):
    """One epoch. Times are microseconds since the epoch."""

    number: int
    begun_at: int
    emptied_at: int | None = None
    destroyed_at: int | None = None


class WrappedKey(NamedTuple):
    """The key of a stored dialog, as it is stored."""

    dialog: int
    dialog_id: str
    wrapped: bytes


class Rewrapped(NamedTuple):
    """A dialog's key as it was, and under a later master."""

    dialog: int
    before: bytes
    after: bytes


class EpochStore(Protocol):
    """The store's epochs."""

    async def all(self) -> list[Epoch]:
        """Return every epoch, the first at first."""
        ...

    async def begin(self, number: int, at: int, facts: Mapping[str, bytes]) -> None:
        """Begin an epoch, and state the facts with which its master can be checked; one that has begun goes on."""
        ...

    async def keys_before(self, epoch: int, after: int, limit: int) -> list[WrappedKey]:
        """Return keys that are wrapped under an earlier epoch, of dialogs whose internal number is above `after`."""
        ...

    async def rewrap(self, keys: Sequence[Rewrapped]) -> None:
        """Overwrite these keys in place; one that was erased or rewrapped meanwhile stays as it is."""
        ...

    async def left(self, epoch: int) -> int:
        """Return how many keys are wrapped under an earlier epoch than this."""
        ...

    async def empty(self, epoch: int, at: int) -> bool:
        """Whether no key, nor a copy of one in the log, is left of earlier epochs than this; then that is on record."""
        ...

    async def end(self, epoch: int, at: int) -> None:
        """Put on record that the masters of earlier epochs than this are gone: what was erased is complete."""
        ...

    async def incomplete(self) -> int:
        """Return how many erasures an earlier copy of the key could undo, together with a master that is there."""
        ...


class FactStore(Protocol):
    """The store's facts. One that was stated is never changed."""

    async def all(self) -> dict[str, bytes]: ...

    async def state(self, facts: Mapping[str, bytes]) -> None:
        """Add facts; one that is known already stays as it is."""
        ...
