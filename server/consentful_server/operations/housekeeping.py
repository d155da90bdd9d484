"""Housekeeping: what a running server does in the background.

    deadlines    every second        expire live dialogs that were idle or open for too long
    retention    every second        purge expired dialogs, when an hour has passed
    rotation     every 30 s          take the next step of a rotation; at once again while there are more
    notices, counters, reserve, words, requests, feed, keys, ledger     every 30 s
    disks, lag, readiness                                               every 30 s, for the metrics alone
    provider     every 30 s          fetch the identity provider's keys before they are 10 minutes old
    anchor       every hour          write the access log's head into the server's log
    backup       every 60 s          back up if one is due; only with --backup-folder

Each chore has its own task, so one that fails or hangs delays no other:

    waiting ──due──► working ──returns──► waiting           failing_since = None
                        └── raises, or exceeds `within_s` ──► waiting    failing_since = now, unless it is set

A failure is counted and logged by its type and place, never its text, and the chore is tried again when it is due.
Every chore may be cancelled and repeated: its writes are transactions, and a commit in progress is finished even if
the task that waits for it is cancelled. A chore that has failed for `PATIENCE_S` makes the server not ready, because
a server that cannot erase should not store more. It is ready again as soon as the chore succeeds. A backup is no such
chore: without one the server keeps all promises but that of surviving its disk, and others alert on it.

All processes of a deployment run all chores. Those that must not run twice take a lease (retention, rotation); the
others are idempotent. Everything here runs on the event loop.

(R1) A chore fails in an unforeseen way: it is caught in `do`, and for the deadlines in `_expire`. An exception that
     left either would cancel all other chores, because they are one task group.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from ..errors import ChoresFailing
from ..keys import signing
from ..privacy.retention import Retention
from ..service import Service
from ..telemetry.logs import where
from .backup_schedule import BackupSchedule
from .measures import measure_disks, measure_retention, show_pending
from .readiness import Readiness

PATIENCE_S: Final = 300.0
"""How long a chore may fail before the server is not ready; a restart of what it depends on takes less."""

_TICK_S: Final = 1.0
_ANCHOR_S: Final = 3600.0
_REFRESH_S: Final = 30.0
"""How long it takes at most until a change by another process takes effect, such as a retired notice."""

_WITHIN_S: Final = 60.0
_PURGE_WITHIN_S: Final = 3600.0
_BACKUP_EVERY_S: Final = 60.0
_BACKUP_WITHIN_S: Final = 6 * 3600.0

_log: Final = logging.getLogger("consentful.housekeeping")


class Chore(NamedTuple):
    """A piece of work, its interval, and its time limit in seconds. Work that returns True is due again at once."""

    name: str
    every_s: float
    work: Callable[[], Awaitable[object]]
    within_s: float = _WITHIN_S
    is_vital: bool = True
    """Whether a server in which it keeps failing is not ready."""


class Housekeeping:
    """The background work of one process."""

    def __init__(self, service: Service) -> None:
        self._service = service
        store = service.store
        self._retention = Retention(service.archive, store.dialogs, store.leases, store.trusted_time, service.clock)
        self._failing_since: dict[str, float] = {}
        self.readiness = Readiness(service, self.check)
        self.chores: tuple[Chore, ...] = (
            Chore("retention", 0, self._purge, _PURGE_WITHIN_S),
            Chore("rotation", _REFRESH_S, service.rotation.tick),
            *self._refreshing(),
            Chore("anchor", _ANCHOR_S, self.anchor),
            *self._backing_up(),
        )
        for name in ("deadlines", *(chore.name for chore in self.chores)):
            service.metrics.chore_failures.labels(name)  # 0 from the start, so that an alert sees the first one

    async def run(self) -> None:
        """Run every chore when it is due, until this is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._expire(), name="consentful-deadlines")
            for chore in self.chores:
                tasks.create_task(self._keep_doing(chore), name=f"consentful-{chore.name}")

    @property
    def purges(self) -> bool:
        """Whether retention runs; False while the clock is not trusted."""
        return not self._retention.is_halted

    def check(self) -> None:
        """Check that no chore has failed for `PATIENCE_S`.

        Raises:
            ChoresFailing: If one has; it names them.
        """
        now = self._service.clock.monotonic()
        vital = {chore.name for chore in self.chores if chore.is_vital}
        failing = [name for name, since in self._failing_since.items() if name in vital and now - since >= PATIENCE_S]
        if failing:
            raise ChoresFailing(failing)

    async def do(self, chore: Chore) -> bool:
        """Run a chore once; return whether it is due again at once. Raises nothing but a cancellation."""
        try:
            async with asyncio.timeout(chore.within_s):
                has_more = await chore.work() is True
        except Exception as error:  # noqa: BLE001 - (R1)
            self._failing_since.setdefault(chore.name, self._service.clock.monotonic())
            self._service.metrics.chore_failures.labels(chore.name).inc()
            _log.error("chore failed", extra={"chore": chore.name} | where(error))
            return False
        self._failing_since.pop(chore.name, None)
        self._service.metrics.chore_success.labels(chore.name).set(self._service.clock.now().timestamp())
        return has_more

    async def refresh(self) -> None:
        """Run once, now, every chore that is otherwise run each 30 s."""
        for chore in self._refreshing():
            await chore.work()

    async def anchor(self) -> None:
        """Write the access log's head into the server's log, which is usually kept on another machine."""
        _log.info("access log", extra={"head": str(await self._service.access_log.head())})

    def _refreshing(self) -> tuple[Chore, ...]:
        service = self._service
        works: dict[str, Callable[[], Awaitable[object]]] = {
            "notices": service.offer.refresh,
            "counters": service.flush,
            "reserve": self._hold_reserve,
            "words": service.access_log.forget_words,
            "requests": self._retry_requests,
            "feed": self._measure_feed,
            "keys": self._renew_keys,
            "disks": lambda: measure_disks(service),
            "lag": lambda: measure_retention(service),
            "readiness": self.readiness.look,
        }
        if service.ledger_claim is not None:
            works["ledger"] = service.ledger_claim.renew
        if service.provider is not None:
            works["provider"] = service.provider.refresh
        return tuple(Chore(name, _REFRESH_S, work) for name, work in works.items())

    def _backing_up(self) -> tuple[Chore, ...]:
        if self._service.settings.backup_folder is None:
            return ()
        schedule = BackupSchedule(self._service)
        return (Chore("backup", _BACKUP_EVERY_S, schedule.tick, _BACKUP_WITHIN_S, is_vital=False),)

    async def _expire(self) -> None:
        """Expire live dialogs. One task does it for all: a timer for each read would cost a third of the throughput."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_TICK_S)
            self._service.metrics.lag.observe(max(0.0, time.perf_counter() - began - _TICK_S))
            try:
                for _ in self._service.registry.tick_in_turns(self._service.clock.monotonic()):
                    await asyncio.sleep(0)
            except Exception as error:  # noqa: BLE001 - (R1)
                self._service.metrics.chore_failures.labels("deadlines").inc()
                _log.error("chore failed", extra={"chore": "deadlines"} | where(error))

    async def _keep_doing(self, chore: Chore) -> None:
        clock = self._service.clock
        due = clock.monotonic()
        while True:
            await asyncio.sleep(_TICK_S)
            if clock.monotonic() < due:
                continue
            has_more = await self.do(chore)
            # From the end of the work: a chore that takes longer than its interval must not run without a break.
            due = clock.monotonic() + (0 if has_more else chore.every_s)

    async def _purge(self) -> None:
        await self._retention.tick()
        self._service.metrics.halted.set(self._retention.is_halted)

    async def _hold_reserve(self) -> None:
        self._service.metrics.reserve.set(await self._service.store.hold_reserve())

    async def _retry_requests(self) -> None:
        """Retry pending privacy requests (GDPR art. 12(3)), and publish when the first is due."""
        pending = await self._service.privacy_requests.retry()
        show_pending(self._service.metrics, pending, self._service.clock.now())

    async def _measure_feed(self) -> None:
        metrics, now = self._service.metrics, self._service.clock.now()
        untold = await self._service.feed.unconfirmed_since()
        metrics.untold.set(0 if untold is None else (now - untold).total_seconds())
        metrics.logged.set((await self._service.access_log.head()).number)

    async def _renew_keys(self) -> None:
        """Load keys that another process has replaced, and publish the state of the rotation."""
        service = self._service
        await service.rotation.renew()
        service.signer.renew(await asyncio.to_thread(signing.load, service.settings.keys_dir, service.wrapping))
        status = await service.rotation.status()
        service.metrics.epoch.set(status.age.total_seconds())
        service.metrics.rewrapping.set(status.left)
        service.metrics.incomplete.set(status.incomplete)
        service.metrics.incomplete_age.set(status.incomplete_age.total_seconds())
