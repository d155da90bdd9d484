"""Debian's Prometheus scrapes real servers, and each alert is made to fire by what it is for, and to resolve.

`make prove` runs all of them, `make test` those that people and laws wait for.
"""

import asyncio
import os
import re
import resource
import signal
import threading
import time
from collections.abc import Generator
from contextlib import AsyncExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector, WSServerHandshakeError

from certificates import make_pair
from consentful.wire import Consent, Error
from consentful_server import service, testing
from consentful_server.app import drain
from consentful_server.edges.server import runner
from consentful_server.errors import StorageFailed
from consentful_server.operations import housekeeping
from consentful_server.stores.postgres.replica import PAUSE_S, Replica
from consentful_server.stores.sqlite import connection
from consentful_server.stores.sqlite.connection import connect as database
from consentful_server.testing import FakeClock
from faulty_store import HeldStore
from kept import bearer, get, keep
from key_service import StandIn
from live import PATH, connect
from postgres_server import database_of
from small_disk import fill, small_disk

from ..server.auth.providers import RSA, signed
from ..server.commands.serving import serving
from ..server.commands.test_workers import pids
from .alerting import alerts
from .scraping import Prometheus, scraping

SCENES = {
    "gone": 2,
    "workers": 1,
    "chores": 1,
    "privacy": 1,
    "disk": 1,
    "certificate": 1,
    "errors": 1,
    "limits": 1,
    "tokens": 2,
    "draining": 1,
    "slow": 1,
    "versions": 2,
    "lag": 1,
    "backup": 1,
    "restarts": 1,
    "queue": 1,
    "connections": 1,
    "replica": 1,
}
"""How many servers each has."""
DAY = 86400
MIB = 1024 * 1024
LATE = (
    "ConsentfulRotationLate",
    "ConsentfulErasuresLate",
    "ConsentfulRetentionLate",
    "ConsentfulPrivacyRequestDueSoon",
    "ConsentfulPrivacyRequestOverdue",
    "ConsentfulErasureUntold",
)
UNVERIFIED = signed(RSA, "RS256", {"iss": "http://127.0.0.1:1", "aud": "consentful", "sub": "shop"}, {"kid": "rsa"})


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Generator[Prometheus]:
    with scraping(tmp_path_factory.mktemp("prometheus"), SCENES, secure=["certificate"]) as running:
        yield running


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Background tasks run as soon as the clock says so, not within a second."""
    monkeypatch.setattr(housekeeping, "_TICK_S", 0.05)


async def knocks(http: ClientSession) -> int:
    """Ask for a live dialog, and leave; return the status."""
    try:
        async with http.ws_connect(PATH):
            return 101
    except WSServerHandshakeError as refused:
        return refused.status


@contextmanager
def elsewhere(port: int) -> Generator[asyncio.AbstractEventLoop]:
    """Run a server on an event loop of its own, in a thread, and yield that loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = testing.serve(port=port)
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(30)
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Watch(FakeClock):
    """The time as it is, moved by what a test says."""

    def __init__(self, late: float = 0) -> None:
        super().__init__(datetime.now(UTC) - timedelta(seconds=late))

    async def goes_on(self) -> None:
        """Let a minute pass, after which all that is repeated is due again."""
        self.advance(60)

    def jump(self, seconds: float) -> None:
        """Set the clock without time passing, as an operator does."""
        self._now += timedelta(seconds=seconds)


async def test_servers_that_are_gone(prometheus: Prometheus) -> None:
    first, second = prometheus.ports["gone"]
    alert = await prometheus.until_fires("ConsentfulDown", "gone")

    async with testing.serve(port=first):
        await prometheus.until_resolved("ConsentfulDown", "gone")
        await prometheus.until_fires("ConsentfulInstanceDown", "gone", instance=f"127.0.0.1:{second}")
        async with testing.serve(port=second):
            await prometheus.until_resolved("ConsentfulInstanceDown", "gone")
            await prometheus.until_quiet("gone")

    assert alert["annotations"]["summary"] == "No Consentful server of consentful-gone responds"


@pytest.mark.prove
async def test_a_worker_that_is_killed(prometheus: Prometheus) -> None:
    (port,) = prometheus.ports["workers"]
    async with serving("--workers", "2", "--port", str(port)) as (_, said, child):
        await prometheus.until_result('consentful_worker_deaths_total{job="consentful-workers"} == 0')
        os.kill(pids(said)[0], signal.SIGKILL)
        await prometheus.until_fires("ConsentfulWorkersRestarting", "workers")
        await prometheus.until_resolved("ConsentfulWorkersRestarting", "workers")
        child.terminate()


@pytest.mark.prove
async def test_a_server_that_restarts_again_and_again(prometheus: Prometheus) -> None:
    (port,) = prometheus.ports["restarts"]

    async def restart() -> None:
        began = time.time()
        async with testing.serve(port=port):
            await prometheus.until_result(f'consentful_start_time_seconds{{job="consentful-restarts"}} > {began}')

    await prometheus.until_fires("ConsentfulRestarting", "restarts", meanwhile=restart)
    async with testing.serve(port=port):
        await prometheus.until_resolved("ConsentfulRestarting", "restarts")


@pytest.mark.usefixtures("busy")
async def test_a_task_that_fails_and_a_clock_that_is_wrong(
    prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = prometheus.ports["chores"]
    clock = Watch(late=20 * 60)

    async def fails() -> bool:
        raise RuntimeError

    async with testing.serve(port=port, clock=clock) as served:
        await prometheus.until_fires("ConsentfulClockWrong", "chores")
        with monkeypatch.context() as broken:
            broken.setattr(served.service.store, "hold_reserve", fails)
            clock.advance(20 * 60)
            await prometheus.until_resolved("ConsentfulClockWrong", "chores")
            await prometheus.until_fires("ConsentfulChoreNotRun", "chores", chore="reserve")
            clock.advance(housekeeping.PATIENCE_S)
            await prometheus.until_fires("ConsentfulChoreFailing", "chores", chore="reserve")
            await prometheus.until_fires("ConsentfulNotReady", "chores")
        clock.jump(400 * DAY)
        clock.advance(3600)
        await prometheus.until_fires("ConsentfulRetentionHalted", "chores")
        clock.jump(-400 * DAY)
        clock.advance(3600)
        for name in (
            "ConsentfulChoreFailing",
            "ConsentfulChoreNotRun",
            "ConsentfulNotReady",
            "ConsentfulRetentionHalted",
        ):
            await prometheus.until_resolved(name, "chores")


@pytest.mark.usefixtures("busy")
async def test_a_full_disk(prometheus: Prometheus, tmp_path: Path) -> None:
    (port,) = prometheus.ports["disk"]
    clock = Watch()
    with small_disk(tmp_path, 12 * MIB) as small:
        async with (
            testing.serve(port=port, folder=small, clock=clock, reserve=2 * MIB) as served,
            ClientSession(served.url) as http,
            connect(http, "") as live,
        ):
            await live.open()
            await live.say("Hi")
            await prometheus.until_quiet("disk")
            await served.service.store.dialogs.residue([])  # the log is cut, and has no room of its own left
            filler = fill(small)

            async def grant() -> None:
                await live.send(Consent(granted=True, last_seq=1))
                assert (await live.receive(Error)).code == "storage"

            await prometheus.until_fires("ConsentfulDecisionsFailing", "disk", meanwhile=grant)
            clock.advance(30)
            await prometheus.until_fires("ConsentfulDiskFillingUp", "disk")
            await prometheus.until_fires("ConsentfulStoreDown", "disk")
            await prometheus.until_fires("ConsentfulDiskFull", "disk")

            filler.unlink()
            clock.advance(30)
            await prometheus.until_quiet("disk")


@pytest.mark.usefixtures("busy")
async def test_what_customers_asked_for_is_late(
    prometheus: Prometheus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = prometheus.ports["privacy"]
    clock, key_service = Watch(), StandIn(tmp_path / "kms")
    given: dict[str, Any] = {"auth": "keys", "keys_command": key_service.command}

    async def cannot(*_: Any) -> list[str]:
        raise StorageFailed

    async with (
        testing.serve(port=port, folder=tmp_path, clock=clock, **given) as served,
        ClientSession(served.url) as http,
    ):
        ann, officer = await served.create_key("data:read", name="ann"), await served.create_key("privacy")
        for number in (1, 2):
            await keep(served.service, f"d-{number}", customer_id=f"c-{number}")
        async with http.get("/v1/messages?format=ndjson", headers=bearer(ann)) as response:
            await response.read()
        with closing(database(tmp_path / "data" / "consentful.db", read_only=True)) as reader:
            reader.execute("BEGIN")  # it may still see what is erased, so the request is pending
            reader.execute("SELECT count(*) FROM dialogs").fetchone()
            asked = {"kind": "erasure", "customer_id": "c-1"}
            async with http.post("/v1/privacy-requests", json=asked, headers=bearer(officer)) as response:
                assert (await response.json())["status"] == "pending"
            key_service.go_down()  # so no new master key can be made
            with monkeypatch.context() as broken:
                broken.setattr(served.service.store.dialogs, "expired", cannot)
                clock.advance(25 * DAY)
                await prometheus.until_fires("ConsentfulPrivacyRequestDueSoon", "privacy")
                await prometheus.until_fires("ConsentfulErasuresLate", "privacy")
                await prometheus.until_fires("ConsentfulRotationLate", "privacy")
                await prometheus.until_fires("ConsentfulErasureUntold", "privacy")
                clock.advance(400 * DAY)  # longer than any dialog may be kept
                await prometheus.until_fires("ConsentfulPrivacyRequestOverdue", "privacy")
                await prometheus.until_fires("ConsentfulRetentionLate", "privacy")

        key_service.come_back()
        page = await get(http, "/v1/erasures", token=ann)
        await get(http, "/v1/erasures", token=ann, cursor=page["next"])
        for name in LATE:
            await prometheus.until_resolved(name, "privacy", meanwhile=clock.goes_on)


async def test_a_certificate_that_expires(prometheus: Prometheus, tmp_path: Path) -> None:
    (port,) = prometheus.ports["certificate"]
    pair = make_pair(tmp_path, valid_for=timedelta(days=5))
    async with testing.serve(port=port, **pair.settings):
        await prometheus.until_fires("ConsentfulCertificateExpires", "certificate")
        make_pair(tmp_path, valid_for=timedelta(minutes=-1))
        await prometheus.until_fires("ConsentfulCertificateExpired", "certificate")
        await prometheus.until_resolved("ConsentfulCertificateExpires", "certificate")
        make_pair(tmp_path, valid_for=timedelta(days=90))
        await prometheus.until_resolved("ConsentfulCertificateExpired", "certificate")


@pytest.mark.prove
async def test_what_is_damaged_and_what_is_a_defect(prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = prometheus.ports["errors"]

    async def breaks(*_: Any) -> None:
        raise RuntimeError

    async with testing.serve(port=port) as served, ClientSession(served.url) as http:
        await keep(served.service, "d-1")
        await prometheus.until_quiet("errors")
        with closing(database(served.folder / "data" / "consentful.db")) as db:
            db.execute("UPDATE dialogs SET language = 'de'")

        async def read() -> None:
            async with http.get("/v1/dialogs/d-1") as response:
                assert response.status == 500

        await prometheus.until_fires("ConsentfulDialogsDamaged", "errors", meanwhile=read)
        with monkeypatch.context() as broken:
            broken.setattr(served.service.store.dialogs, "find", breaks)
            await prometheus.until_fires("ConsentfulInternalErrors", "errors", meanwhile=read)
        await prometheus.until_quiet("errors")


@pytest.mark.prove
async def test_memory_and_other_limits(prometheus: Prometheus) -> None:
    (port,) = prometheus.ports["limits"]
    given: dict[str, Any] = {"memory": MIB, "max_dialog_bytes": MIB, "opens_per_second": 1}
    async with testing.serve(port=port, **given) as served, ClientSession(served.url) as http:
        registry = served.service.registry
        free = registry.limit - registry.bytes_used
        registry.take(free)

        async def knock() -> None:
            assert await knocks(http) == 503

        await prometheus.until_fires("ConsentfulTurningAway", "limits", meanwhile=knock)
        await prometheus.until_fires("ConsentfulMemoryNearLimit", "limits")
        registry.give_back(free)

        async def knock_often() -> None:
            for _ in range(30):
                await knocks(http)

        limit = {"limit": "opens_per_second"}
        await prometheus.until_fires("ConsentfulClientsLimited", "limits", meanwhile=knock_often, **limit)
        await prometheus.until_quiet("limits")


@pytest.mark.prove
async def test_more_clients_than_connections(prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = prometheus.ports["connections"]
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(runner, "_RESERVED_FILES", files - 20)  # as with so few that may be open
    async with testing.serve(port=port) as served, ClientSession(served.url) as http, AsyncExitStack() as stack:
        await prometheus.until_result('consentful_connections_limit{job="consentful-connections"} == 20')
        for _ in range(19):  # with that of Prometheus, all
            await stack.enter_async_context(connect(http, ""))
        await prometheus.until_fires("ConsentfulConnectionsNearLimit", "connections")

        async def knock() -> None:
            await knocks(http)

        await prometheus.until_fires("ConsentfulConnectionsRefused", "connections", meanwhile=knock)
        await stack.aclose()
        await prometheus.until_quiet("connections")


@pytest.mark.prove
async def test_tokens_that_are_refused_and_that_nobody_can_verify(prometheus: Prometheus) -> None:
    refusing, blind = prometheus.ports["tokens"]
    given: dict[str, Any] = {"auth": "oidc", "issuer": "http://127.0.0.1:1", "audience": "consentful"}
    async with (
        testing.serve(port=refusing, auth="keys"),
        testing.serve(port=blind, **given),
        ClientSession(headers=bearer("cfl_000000000000_a")) as guessing,
        ClientSession(headers=bearer(UNVERIFIED)) as unlucky,
    ):
        await prometheus.until_fires("ConsentfulProviderUnreachable", "tokens")

        async def ask() -> None:
            async with unlucky.get(f"http://127.0.0.1:{blind}/v1/messages") as response:
                assert response.status == 503

        async def guess() -> None:
            for _ in range(30):
                async with guessing.get(f"http://127.0.0.1:{refusing}/v1/messages") as response:
                    assert response.status == 401

        await prometheus.until_fires("ConsentfulTokensUnverifiable", "tokens", meanwhile=ask)
        await prometheus.until_fires("ConsentfulAuthRefused", "tokens", meanwhile=guess, reason="unknown")
        for name in ("ConsentfulTokensUnverifiable", "ConsentfulAuthRefused"):
            await prometheus.until_resolved(name, "tokens")
    await prometheus.until_resolved("ConsentfulProviderUnreachable", "tokens")


@pytest.mark.prove
async def test_a_replica_that_fails(prometheus: Prometheus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,), clock, database = prometheus.ports["replica"], Watch(), await database_of(tmp_path)

    async def fails(*_: Any) -> None:
        raise ConnectionResetError

    async with (
        testing.serve(port=port, clock=clock, database=database, read_database=database) as served,
        ClientSession(served.url) as http,
    ):

        async def read() -> None:
            clock.advance(PAUSE_S)
            await get(http, "/v1/messages")

        await read()
        await prometheus.until_quiet("replica")
        with monkeypatch.context() as broken:
            broken.setattr(Replica, "_in_snapshot", fails)
            await prometheus.until_fires("ConsentfulReplicaAvoided", "replica", meanwhile=read)
        await prometheus.until_resolved("ConsentfulReplicaAvoided", "replica", meanwhile=read)


async def test_a_server_that_drains_and_does_not_end(prometheus: Prometheus) -> None:
    (port,) = prometheus.ports["draining"]
    async with testing.serve(port=port, grace=600) as served, ClientSession(served.url) as http:
        async with connect(http, "") as live:
            await live.open()
            draining = asyncio.create_task(drain(served.service))
            await prometheus.until_fires("ConsentfulDrainingTooLong", "draining")
        await draining
    await prometheus.until_resolved("ConsentfulDrainingTooLong", "draining")


@pytest.mark.prove
async def test_consents_that_are_slow(prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = prometheus.ports["slow"]
    async with testing.serve(port=port) as served, AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession(served.url))
        lives = [await stack.enter_async_context(connect(http, "")) for _ in range(30)]
        for live in lives:
            await live.open()
            await live.say("Hi")
        await prometheus.until_quiet("slow")
        store = HeldStore(served, monkeypatch)
        granting = [asyncio.create_task(live.grant()) for live in lives]
        await asyncio.wait(granting, timeout=1.5)
        store.let_go.set()
        await asyncio.gather(*granting)
        await prometheus.until_fires("ConsentfulConsentsSlow", "slow")
        await prometheus.until_quiet("slow")


@pytest.mark.prove
async def test_a_database_that_is_slower_than_the_decisions(
    prometheus: Prometheus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = prometheus.ports["queue"]
    monkeypatch.setattr(connection, "BUSY_MS", 60_000)
    async with testing.serve(port=port, folder=tmp_path) as served, AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession(served.url, connector=TCPConnector(limit=0)))
        lives = [await stack.enter_async_context(connect(http, "")) for _ in range(620)]
        for live in lives:
            await live.open()
            await live.say("Hi")
        with closing(database(tmp_path / "data" / "consentful.db")) as other:
            other.execute("BEGIN IMMEDIATE")  # the commit waits for it, with 500 dialogs; the others wait behind it
            granting = [asyncio.create_task(live.grant()) for live in lives]
            await prometheus.until_fires("ConsentfulCommitQueueGrowing", "queue")
            other.execute("ROLLBACK")
        await asyncio.gather(*granting)
        await prometheus.until_quiet("queue")


async def test_an_upgrade_that_stops_half_way(prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = prometheus.ports["versions"]
    async with testing.serve(port=first):
        with monkeypatch.context() as later:
            later.setattr(service, "version", {"consentful": "99.0.0"}.get)
            async with testing.serve(port=second):
                await prometheus.until_fires("ConsentfulVersionsDiffer", "versions")
        await prometheus.until_resolved("ConsentfulVersionsDiffer", "versions")


@pytest.mark.prove
async def test_an_event_loop_that_is_late(prometheus: Prometheus) -> None:
    (port,) = prometheus.ports["lag"]
    with elsewhere(port) as loop:
        await prometheus.until_quiet("lag")
        firing = asyncio.create_task(prometheus.until_fires("ConsentfulLoopLag", "lag"))
        while not firing.done():
            loop.call_soon_threadsafe(time.sleep, 1.2)
            await asyncio.wait([firing], timeout=1.5)
        await firing
        await prometheus.until_resolved("ConsentfulLoopLag", "lag")


@pytest.mark.prove
@pytest.mark.usefixtures("busy")
async def test_backups_that_are_old_or_fail(prometheus: Prometheus, tmp_path: Path) -> None:
    (port,) = prometheus.ports["backup"]
    clock, folder = Watch(late=3 * DAY), tmp_path / "backups"
    async with testing.serve(port=port, folder=tmp_path / "home", clock=clock, backup_folder=folder):
        await prometheus.until_fires("ConsentfulBackupOld", "backup")
        aside = folder.rename(tmp_path / "aside")
        folder.write_text("no folder")
        clock.advance(DAY)
        await prometheus.until_fires("ConsentfulBackupFailing", "backup")
        folder.unlink()
        aside.rename(folder)
        clock.advance(2 * DAY)
        await prometheus.until_resolved("ConsentfulBackupOld", "backup")
        await prometheus.until_resolved("ConsentfulBackupFailing", "backup")


async def test_a_prometheus_without_targets(tmp_path: Path) -> None:
    with scraping(tmp_path, {}) as empty:
        await empty.until_fires("ConsentfulAbsent", None)


def test_each_alert_is_made_to_fire() -> None:
    fired = re.findall(r'until_fires\(\s*"(\w+)"', Path(__file__).read_text("utf-8"))

    assert set(fired) == {*alerts()}
