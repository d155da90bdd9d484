"""A COMMIT that waits for a synchronous standby, and what must not be told before the standby has it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from consentful_server.archive.store import StoredDialog
from consentful_server.stores.open import backend_of
from consentful_server.stores.store import Store
from consentful_server.testing import FakeClock
from sealed import START, candidate, opened_ledger

from .database import DatabaseServer, database_server

_WAITS = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
_PATIENCE_S = 60


@pytest.fixture
async def servers() -> AsyncGenerator[tuple[DatabaseServer, DatabaseServer]]:
    """A primary that waits for its standby, and the standby."""
    settings = {"synchronous_standby_names": "standby"}
    async with database_server("127.0.0.1", settings) as primary, database_server("127.0.0.1") as standby:
        await primary.create(standby)
        yield primary, standby


@pytest.fixture
async def store(servers: tuple[DatabaseServer, DatabaseServer], tmp_path: Path) -> AsyncGenerator[Store]:
    clock = FakeClock(START + timedelta(days=1))
    opened = await backend_of(servers[0].url, tmp_path).open(clock, opened_ledger(tmp_path))
    yield opened
    await opened.close()


async def until_a_commit_waits(primary: DatabaseServer, beside: int = 0) -> int:
    """Return the process that waits for the standby, once there is one beside this one."""
    while not (waiting := await primary.ask(f"SELECT pid {_WAITS} AND pid != {beside}")):
        pass
    return waiting


async def crash(primary: DatabaseServer) -> None:
    """The machine restarts; what was in the write-ahead log is committed then, whoever has it."""
    await primary.killed()
    await primary.start()


async def cancel(primary: DatabaseServer) -> None:
    """An operator ends what hangs."""
    assert await primary.ask(f"SELECT bool_and(pg_cancel_backend(pid)) {_WAITS}")


@pytest.mark.parametrize("interrupts", [[crash], [cancel], [cancel, cancel], [crash, cancel]])
async def test_nothing_is_stored_before_the_standby_has_it(
    servers: tuple[DatabaseServer, DatabaseServer],
    store: Store,
    interrupts: Sequence[Callable[[DatabaseServer], Awaitable[None]]],
) -> None:
    """What the look-up of the outcome commits may be interrupted, too."""
    primary, standby = servers
    await standby.killed()
    keeping = asyncio.ensure_future(store.dialogs.keep(candidate("d-1")))
    async with asyncio.timeout(_PATIENCE_S):
        waiting = await until_a_commit_waits(primary)
        for interrupt in interrupts:
            await interrupt(primary)
            while not await primary.ask("SELECT count(*) FROM dialogs"):
                pass  # from now on everybody sees the dialog, and no standby has it
            looking = asyncio.ensure_future(until_a_commit_waits(primary, beside=waiting))
            await asyncio.wait({keeping, looking}, return_when=asyncio.FIRST_COMPLETED)
            assert not keeping.done()
            waiting = await looking

        await standby.start()

        assert isinstance(await keeping, StoredDialog)
