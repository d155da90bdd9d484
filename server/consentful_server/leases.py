"""Leases: one of several processes on a store does a piece of work; another takes over when its lease expires."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, Protocol

from .errors import Refusal

_LENGTH: Final = timedelta(minutes=1)
"""How long nobody else works after a holder was killed."""


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


@asynccontextmanager
async def held(leases: Leases, name: str, length: timedelta = _LENGTH) -> AsyncGenerator[bool]:
    """Hold a lease for as long as the block takes; yield False, and hold none, if another holder has it.

    All who take a lease take it for the same length: one that lasts longer than that is no lease, but of a clock that
    was set back.
    """
    holder = secrets.token_hex(8)
    if not await leases.take(name, holder, length):
        yield False
        return
    extending = asyncio.create_task(_extend(leases, name, holder, length), name=f"consentful-lease-{name}")
    try:
        yield True
    finally:
        extending.cancel()
        await asyncio.wait([extending])
        with suppress(Refusal):  # it expires by itself
            await leases.release(name, holder)


async def _extend(leases: Leases, name: str, holder: str, length: timedelta) -> None:
    while True:
        await asyncio.sleep(length.total_seconds() / 3)
        with suppress(Refusal):  # the store fails for now
            await leases.take(name, holder, length)
