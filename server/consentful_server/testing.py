"""The real service for tests: on a free port, with a temporary store.

    async with consentful_server.testing.serve() as service:
        async with consentful.open_dialog(service.url, customer_id="c-1") as dialog:
            ...

Only the clock can be faked: pass `clock=FakeClock()`.
"""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .access_log.chain import SERVICE
from .app import build_runner
from .auth.access import SCOPES, Scope
from .clock import Clock
from .edges.server.site import Site
from .edges.server.tls import certificate_of
from .service import Service, open_service
from .settings import Settings
from .telemetry import traces


@dataclass(frozen=True)
class Served:
    """A running service. `service` gives access to its parts."""

    url: str
    service: Service
    folder: Path
    """The folder of `data` and `keys`."""

    async def create_key(self, *scopes: Scope, name: str = "test", purposes: tuple[str, ...] | None = None) -> str:
        """Return a new API key, with every scope if none is given; for a service started with `auth="keys"`."""
        return await self.service.api_keys.create(name, scopes or SCOPES, purposes)

    async def revoke_key(self, key: str) -> None:
        """Revoke a key that `create_key` returned: from now on it is refused, by open dialogs' grants as well.

        Raises:
            ValueError: If there is no such key.
        """
        _, _, rest = key.partition("_")
        if not await self.service.api_keys.revoke(rest.partition("_")[0], by=SERVICE):
            raise ValueError("no such key; pass what create_key returned")


class FakeClock:
    """A clock that only `advance` moves."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._elapsed = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._elapsed += seconds


@asynccontextmanager
async def serve(*, folder: Path | None = None, clock: Clock | None = None, **settings: Any) -> AsyncGenerator[Served]:
    """Run the service until the block ends. `settings` are those of `consentful serve`.

    With a `folder` the store outlives the block, so that a second block reads what the first one stored.
    """
    with (
        tempfile.TemporaryDirectory(prefix="consentful-") as temporary,
        traces.recording(settings.get("otlp_endpoint", "")),
    ):
        home = folder or Path(temporary)
        given: dict[str, Any] = {"port": 0, "data_dir": home / "data", "keys_dir": home / "keys"} | settings
        chosen = Settings(**given)
        async with open_service(chosen, clock) as service:
            runner = build_runner(service, shutdown_timeout=1.0)
            await runner.setup()
            try:
                site = Site(runner, chosen, certificate_of(chosen))
                await site.start()
                yield Served(site.name, service, home)
            finally:
                await runner.cleanup()
