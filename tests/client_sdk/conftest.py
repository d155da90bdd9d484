"""What the SDK's tests share."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeAlias

import pytest

import consentful
from consentful import wire
from consentful_server import testing

from .scripted import FakeClock, Peer, ScriptedServer, task

Opened: TypeAlias = Callable[..., Awaitable[tuple[consentful.Dialog, Peer]]]
Opens: TypeAlias = Callable[..., AbstractAsyncContextManager[consentful.Dialog]]


@pytest.fixture
async def server() -> AsyncGenerator[ScriptedServer]:
    async with ScriptedServer().serve() as scripted:
        yield scripted


@pytest.fixture
def url() -> Generator[str]:
    """The address of the real service, which runs in another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    serving = testing.serve()
    try:
        yield asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result().url
    finally:
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result()
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def opens(server: ScriptedServer, clock: FakeClock) -> Opens:
    """Opens a dialog at the scripted server; waiting takes no time."""

    def open_dialog(**options: Any) -> AbstractAsyncContextManager[consentful.Dialog]:
        given: dict[str, Any] = {"customer_id": "c-1", "clock": clock, "random": lambda: 0.5} | options
        return consentful.open_dialog(given.pop("url", server.url), **given)

    return open_dialog


@pytest.fixture
async def opened(server: ScriptedServer, opens: Opens) -> AsyncGenerator[Opened]:
    """Opens a dialog and returns both ends of it: the chatbot's and the server's."""
    async with AsyncExitStack() as stack:

        async def open_both(limits: wire.Limits | None = None, **options: Any) -> tuple[consentful.Dialog, Peer]:
            entering = task(stack.enter_async_context(opens(**options)))
            peer = await server.accept_open(limits)
            return await entering, peer

        yield open_both
