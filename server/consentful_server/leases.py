"""Leases: one of several processes on a store does a piece of work; another takes over when its lease expires."""

from datetime import timedelta
from typing import Protocol


class Leases(Protocol):
    """The store's leases."""

    async def take(self, name: str, holder: str, length: timedelta) -> bool:
        """Acquire or extend the lease; it expires `length` from now, or later if it was longer already.

        Return False if another holder has it.
        """
        ...

    async def release(self, name: str, holder: str) -> None:
        """Release the lease, if this holder has it."""
        ...
