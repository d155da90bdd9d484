"""Leases: of many processes on one store, one does a piece of work, and another takes over if it dies."""

from datetime import timedelta
from typing import Protocol


class Leases(Protocol):
    """The store's leases."""

    async def take(self, name: str, holder: str, length: timedelta) -> bool:
        """Hold the lease from now on for so long, or longer if it is held already; False if another holds it."""
        ...

    async def release(self, name: str, holder: str) -> None:
        """Let the lease go, if it is held."""
        ...
