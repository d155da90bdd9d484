"""Housekeeping: what a running server does by itself, beside what it is asked for.

Each chore has a task of its own, so one that fails or hangs holds up no other:

    waiting ──due──► working ──returns──────────────► waiting   failing_since = None
                        └────raises, or takes longer than `within_s`──► waiting   failing_since = now, unless it is set

A chore that fails is logged by the kind and place of its error, counted, and tried again when it is due. Every chore
may be cancelled and done again: its writes are transactions, and a commit under way is finished whoever waits.
A chore that has failed for `PATIENCE_S` makes the server not ready: a server that cannot erase should not take in more.
It is ready again as soon as the chore succeeds.

Everything here runs on the event loop; `failing_since` is written by the chore's own task alone.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from ..errors import ChoresFailing
from ..keys import signing
from ..privacy.retention import Retention
from ..service import Service
from ..telemetry import where

PATIENCE_S: Final = 300.0
"""How long a chore may fail before the server is not ready: a restart of what it depends on takes less."""

_TICK_S: Final = 1.0
_ANCHOR_S: Final = 3600.0
_REFRESH_S: Final = 30.0
"""How long it takes until a notice that was added or retired on the command line counts."""

_WITHIN_S: Final = 60.0
_PURGE_WITHIN_S: Final = 3600.0

_log: Final = logging.getLogger("consentful.housekeeping")


class Chore(NamedTuple):
    """A piece of work: how often it is done, and how long it may take. One that returns True has more to do at once."""

    name: str
    every_s: float
    work: Callable[[], Awaitable[object]]
    within_s: float = _WITHIN_S


class Housekeeping:
    """The chores of one process."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._retention = Retention(service.archive, service.store.dialogs, service.store.leases, service.clock)
        self._failing_since: dict[str, float] = {}
        self.chores: tuple[Chore, ...] = (
            Chore("retention", 0, self._purge, _PURGE_WITHIN_S),
            Chore("rotation", _REFRESH_S, service.rotation.tick),
            *self._refreshing(),
            Chore("anchor", _ANCHOR_S, self.anchor),
        )

    async def run(self) -> None:
        """Do every chore when it is due, until this is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._expire(), name="consentful-deadlines")
            for chore in self.chores:
                tasks.create_task(self._keep_doing(chore), name=f"consentful-{chore.name}")

    def check(self) -> None:
        """See that no chore has failed for long.

        Raises:
            ChoresFailing: If one has; it names them.
        """
        now = self._service.clock.monotonic()
        failing = [name for name, since in self._failing_since.items() if now - since >= PATIENCE_S]
        if failing:
            raise ChoresFailing(failing)

    async def do(self, chore: Chore) -> bool:
        """Do a chore once; whether it has more to do at once. It never raises, but when it is cancelled."""
        try:
            async with asyncio.timeout(chore.within_s):
                has_more = await chore.work() is True
        except Exception as error:  # noqa: BLE001 - whatever it was, the chore is tried again
            self._failing_since.setdefault(chore.name, self._service.clock.monotonic())
            self._service.metrics.chore_failures.labels(chore.name).inc()
            _log.error("chore failed", extra={"chore": chore.name} | where(error))
            return False
        self._failing_since.pop(chore.name, None)
        self._service.metrics.chore_success.labels(chore.name).set(self._service.clock.now().timestamp())
        return has_more

    async def refresh(self) -> None:
        """Do once, now, what is otherwise done every half a minute."""
        for chore in self._refreshing():
            await chore.work()

    async def anchor(self) -> None:
        """Write the access log's head into the server's log, which is usually kept where this machine cannot write."""
        _log.info("access log", extra={"head": str(await self._service.access_log.head())})

    def _refreshing(self) -> tuple[Chore, ...]:
        service = self._service
        works: dict[str, Callable[[], Awaitable[object]]] = {
            "notices": service.offer.refresh,
            "counters": service.flush,
            "reserve": self._hold_reserve,
            "requests": self._retry_requests,
            "feed": self._look_at_feed,
            "keys": self._renew_keys,
        }
        return tuple(Chore(name, _REFRESH_S, work) for name, work in works.items())

    async def _expire(self) -> None:
        """Expire dialogs: a timer for each read would cost a third of all throughput."""
        while True:
            await asyncio.sleep(_TICK_S)
            self._service.registry.tick(self._service.clock.monotonic())

    async def _keep_doing(self, chore: Chore) -> None:
        clock = self._service.clock
        due = clock.monotonic()
        while True:
            await asyncio.sleep(_TICK_S)
            if clock.monotonic() >= due:
                has_more = await self.do(chore)
                due = clock.monotonic() + (0 if has_more else chore.every_s)

    async def _purge(self) -> None:
        await self._retention.tick()
        self._service.metrics.halted.set(self._retention.is_halted)

    async def _hold_reserve(self) -> None:
        self._service.metrics.reserve.set(await self._service.store.hold_reserve())

    async def _retry_requests(self) -> None:
        """Go on with privacy requests that are pending (GDPR art. 12(3)), and tell when the first is due."""
        metrics, now = self._service.metrics, self._service.clock.now()
        pending = await self._service.privacy_requests.retry()
        metrics.pending.set(len(pending))
        metrics.due.set(min(((request.due - now).total_seconds() for request in pending), default=math.inf))

    async def _look_at_feed(self) -> None:
        metrics, now = self._service.metrics, self._service.clock.now()
        untold = await self._service.feed.untold_since()
        metrics.untold.set(0 if untold is None else (now - untold).total_seconds())
        metrics.logged.set((await self._service.access_log.head()).number)

    async def _renew_keys(self) -> None:
        """Take up what another process has changed among the keys."""
        service = self._service
        await service.rotation.renew()
        service.signer.renew(await asyncio.to_thread(signing.load, service.settings.keys_dir))
        status = await service.rotation.status()
        service.metrics.epoch.set(status.age.total_seconds())
        service.metrics.rewrapping.set(status.left)
        service.metrics.incomplete.set(status.incomplete)
