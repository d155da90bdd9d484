"""A store that waits before it keeps a dialog, or fails once."""

import asyncio
from typing import Any

import pytest

from consentful_server.archive.store import Candidate, StoredDialog
from consentful_server.testing import Served


class HeldStore:
    """Puts itself before a store's `keep`: each one waits until it is let go."""

    def __init__(self, service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        self._keep = service.service.store.dialogs.keep
        self.reached = asyncio.Event()
        self.let_go = asyncio.Event()
        monkeypatch.setattr(service.service.store.dialogs, "keep", self.keep)

    async def keep(self, candidate: Candidate) -> StoredDialog:
        self.reached.set()
        await self.let_go.wait()
        return await self._keep(candidate)


def fail_once(service: Served, monkeypatch: pytest.MonkeyPatch, error: Exception, method: str = "keep") -> None:
    """Let the store fail the next time, and work from then on."""
    store = service.service.store.dialogs
    works = getattr(store, method)

    async def fails(*_: Any, **__: Any) -> Any:
        monkeypatch.setattr(store, method, works)
        raise error

    monkeypatch.setattr(store, method, fails)
