"""The part of an asyncpg pool that the store uses, with types."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from .connection import Connection


class Pool(Protocol):
    """Connections for reads."""

    def acquire(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[Connection]: ...

    async def close(self) -> None: ...

    def terminate(self) -> None: ...


async def leave_as_it_is(_connection: object) -> None:
    """Leave a connection as it is when a read gives it back: nothing here changes its settings."""
