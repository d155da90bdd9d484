"""The real service on a real socket, with a clock that moves when it is told to."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from aiohttp import ClientSession

from consentful_server.consent.notices import Wording
from consentful_server.testing import FakeClock, Served, serve
from live import Live, connect

Settings: TypeAlias = dict[str, Any]
Dial: TypeAlias = Callable[..., Awaitable[Live]]


@pytest.fixture
def settings() -> Settings:
    """What the service is started with; a test says otherwise with `parametrize("settings", [...])`."""
    return {}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new database and its keys, made once: making them syncs the disk a dozen times."""
    folder = tmp_path_factory.mktemp("founded")

    async def found() -> None:
        async with serve(folder=folder, clock=FakeClock()):  # nothing in it is younger than what tests add
            pass

    asyncio.run(found())
    return folder


@pytest.fixture
async def service(settings: Settings, clock: FakeClock, founded: Path, tmp_path: Path) -> AsyncGenerator[Served]:
    shutil.copytree(founded, tmp_path, dirs_exist_ok=True)
    async with serve(folder=tmp_path, clock=clock, **settings) as served:
        yield served


@pytest.fixture
async def http(service: Served) -> AsyncGenerator[ClientSession]:
    """A client of the service; it needs no host in its URLs."""
    async with ClientSession(service.url) as session:
        yield session


@pytest.fixture
async def dial(service: Served) -> AsyncGenerator[Dial]:
    """Connects to a live dialog, as often as it is called; hangs up after the test."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())

        async def dialling(**options: Any) -> Live:
            return await stack.enter_async_context(connect(session, service.url, **options))

        yield dialling


@pytest.fixture
async def live(dial: Dial) -> Live:
    return await dial()


@pytest.fixture
async def two_purposes(service: Served) -> Wording:
    """A notice with two purposes, which the service offers from now on, in English."""
    wording = Wording(
        id="n-2",
        language="en",
        text="May we?",
        purposes=("improve", "research"),
        controller="Shop",
        contact="privacy@shop.example",
        retention=timedelta(days=30),
    )
    await service.service.offer.add([wording])
    await service.service.offer.refresh()
    return wording
