"""What a store keeps about keys: facts that identify the root keys, and the epochs of the master key. None is secret.

Promises of the epochs:

- After `begin`, no key is stored under an earlier epoch.
- After `empty`, no reader has a key under an earlier epoch, and no crash brings one back into the store.
- After `end`, the erasures of earlier epochs are complete, and values that ended with them are deleted.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec


class Epoch(msgspec.Struct, frozen=True):
    """One epoch. Times are microseconds since the epoch (UTC)."""

    number: int
    begun_at: int
    emptied_at: int | None = None
    destroyed_at: int | None = None


class WrappedKey(NamedTuple):
    """The key of a stored dialog: its internal number, its id, and the wrapped key."""

    dialog: int
    dialog_id: str
    wrapped: bytes


class Rewrapped(NamedTuple):
    """A dialog's key as it was stored, and wrapped under a later master."""

    dialog: int
    before: bytes
    after: bytes


class Unended(NamedTuple):
    """Erasures whose epoch has not ended: how many, and when the first of them was made (microseconds)."""

    number: int
    since: int | None


class EpochStore(Protocol):
    """The store's epochs."""

    async def all(self) -> list[Epoch]:
        """Return every epoch, oldest first."""
        ...

    async def begin(self, number: int, at: int, facts: Mapping[str, bytes]) -> None:
        """Record that an epoch has begun, with the facts that identify its master. Recorded ones stay as they are."""
        ...

    async def keys_before(self, epoch: int, after: int, limit: int) -> list[WrappedKey]:
        """Return keys that are wrapped under earlier epochs, of dialogs with a number above `after`, in ascending
        order.
        """
        ...

    async def rewrap(self, keys: Sequence[Rewrapped]) -> None:
        """Overwrite these keys in place; one that was erased or rewrapped since it was read stays as it is."""
        ...

    async def left(self, epoch: int) -> int:
        """Return how many keys are wrapped under earlier epochs."""
        ...

    async def empty(self, epoch: int, at: int) -> bool:
        """Make the promise of `empty` true, and record that; return False if a reader is in the way."""
        ...

    async def end(self, epoch: int, at: int) -> None:
        """Record that the masters of earlier epochs are destroyed: their erasures are complete."""
        ...

    async def incomplete(self) -> Unended:
        """Return the erased dialogs that an earlier copy of their key and an existing master could open."""
        ...


class FactStore(Protocol):
    """The store's facts. A recorded fact is never changed."""

    async def all(self) -> dict[str, bytes]: ...

    async def state(self, facts: Mapping[str, bytes]) -> None:
        """Record facts; one whose name is known stays as it is."""
        ...
