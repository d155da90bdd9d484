"""What the SDK's tests share."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeAlias

import pytest

import consentful
from consentful import wire

from .scripted import FakeClock, Peer, ScriptedServer, task

Opened: TypeAlias = Callable[..., Awaitable[tuple[consentful.Dialog, Peer]]]
Opens: TypeAlias = Callable[..., AbstractAsyncContextManager[consentful.Dialog]]


@pytest.fixture
async def server() -> AsyncGenerator[ScriptedServer]:
    async with ScriptedServer().serve() as scripted:
        yield scripted


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
