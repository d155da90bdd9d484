"""Each promise that can break has a metric that shows it."""

import asyncio
import math
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError
from cryptography.x509 import load_pem_x509_certificate

from certificates import make_pair
from consentful.wire import Consent, Error, Message, Stored
from consentful_server.app import drain
from consentful_server.archive.store import StoredDialog
from consentful_server.auth.access import SCOPES
from consentful_server.clock import from_micros, to_micros
from consentful_server.edges.server import protocol, runner
from consentful_server.edges.websocket.charging import CHARGED_FRAMES
from consentful_server.errors import OutcomeUnknown, StorageFailed
from consentful_server.operations import housekeeping as housekeeping_module
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.operations.measures import show_pending
from consentful_server.privacy.retention import purge
from consentful_server.privacy.store import PrivacyRequest
from consentful_server.stores.sqlite.connection import connect as database
from consentful_server.telemetry.metrics import Metrics
from consentful_server.testing import FakeClock, Served, serve
from faulty_store import fail_once
from kept import bearer, keep
from live import Live
from raw import exchange

from ..auth.providers import provider as fake_provider
from .series import series

Dial = Callable[..., Any]


async def grown(http: ClientSession, before: dict[str, float], prefix: str) -> dict[str, float]:
    """Return which series of this name have changed, and by how much."""
    after = await series(http)
    names = [name for name in after if name.startswith(prefix)]
    return {
        name.removeprefix(prefix).strip(): after[name] - before.get(name, 0)
        for name in names
        if after[name] != before.get(name, 0)
    }


class TestDecisions:
    async def test_each_counts_by_its_outcome(self, dial: Dial, http: ClientSession) -> None:
        before = await series(http)
        for _ in range(2):
            granted = await dial()
            await granted.open()
            await granted.say("Yes")
            await granted.grant()
        declined = await dial()
        await declined.open()
        await declined.say("No")
        await declined.decline()

        assert await grown(http, before, "consentful_decisions_total") == {"stored": 2, "discarded": 1}
        assert (await grown(http, before, "consentful_consent_seconds_count")) == {"": 2}

    @pytest.mark.parametrize("error", [StorageFailed(), OutcomeUnknown()], ids=lambda error: error.code)
    async def test_one_that_fails_counts_by_the_code_that_the_client_is_told(
        self,
        live: Live,
        http: ClientSession,
        service: Served,
        monkeypatch: pytest.MonkeyPatch,
        error: StorageFailed | OutcomeUnknown,
    ) -> None:
        before = await series(http)
        await live.open()
        await live.say("Yes")
        fail_once(service, monkeypatch, error)
        await live.send(Consent(granted=True, last_seq=1))

        assert (await live.receive(Error)).code == error.code
        assert await grown(http, before, "consentful_decisions_total") == {error.code: 1}
        assert await grown(http, before, "consentful_consent_seconds_count") == {}

    async def test_those_of_the_original_contract_count_alike(self, http: ClientSession) -> None:
        before = await series(http)
        for dialog, granted in (("d-1", "true"), ("d-2", "false")):
            await http.post(f"/data/c-1/{dialog}", json={"text": "Hi", "language": "EN"})
            await http.post(f"/consents/{dialog}", data=granted)
        await http.post("/consents/d-1", data="true")

        assert await grown(http, before, "consentful_decisions_total") == {"stored": 1, "discarded": 1}
        assert await grown(http, before, "consentful_replays_total") == {"": 1}

    async def test_a_replay_is_told_from_a_first_grant_and_a_repeated_message_from_a_new_one(
        self, dial: Dial, http: ClientSession
    ) -> None:
        before = await series(http)
        for _ in range(2):
            live = await dial()
            await live.open(dialog_id="d-1")
            await live.say("Hi")
            await live.send(Message(1, "Hi"))
            await live.send(Consent(granted=True, last_seq=1))
            await live.receive(Stored)

        assert await grown(http, before, "consentful_replays_total") == {"": 1}
        assert await grown(http, before, "consentful_messages_repeated_total") == {"": 2}


class TestDamaged:
    @pytest.mark.parametrize(
        ("path", "times"),
        [
            ("/v1/messages", 1),
            ("/v1/dialogs", 1),
            ("/v1/messages?format=ndjson", 1),
            ("/v1/dialogs/d-1", 1),
            ("/v1/dialogs/d-2", 0),
        ],
    )
    async def test_a_damaged_dialog_counts_each_time_that_it_is_met(
        self, service: Served, http: ClientSession, path: str, times: int
    ) -> None:
        for dialog in ("d-1", "d-2"):
            await keep(service.service, dialog)
        with closing(database(service.folder / "data" / "consentful.db")) as db:
            db.execute("UPDATE dialogs SET language = 'de' WHERE dialog_id = 'd-1'")
        before = await series(http)

        for _ in range(2):
            async with http.get(path) as response:
                await response.read()

        assert await grown(http, before, "consentful_dialogs_damaged_total") == ({"": 2 * times} if times else {})


class TestProvider:
    async def test_the_age_of_its_keys_is_shown(self, clock: FakeClock) -> None:
        async with (
            fake_provider() as fake,
            serve(clock=clock, auth="oidc", issuer=fake.issuer, audience="consentful") as served,
        ):
            provider, registry = served.service.provider, served.service.metrics.registry
            assert provider is not None
            await provider.renew()
            clock.advance(100)
            assert registry.get_sample_value("consentful_provider_keys_age_seconds") == 100

    async def test_before_any_were_fetched_it_has_no_end(self, clock: FakeClock) -> None:
        async with serve(clock=clock, auth="oidc", issuer="http://127.0.0.1:1", audience="consentful") as served:
            age = served.service.metrics.registry.get_sample_value("consentful_provider_keys_age_seconds")
            assert age == math.inf


class TestStore:
    async def test_commits_are_measured(self, service: Served, http: ClientSession) -> None:
        before = await series(http)
        await keep(service.service, "d-1")

        jobs = await grown(http, before, "consentful_commit_jobs_sum")
        assert jobs == await grown(http, before, "consentful_commit_jobs_count")
        assert jobs == await grown(http, before, "consentful_commit_seconds_count")

    async def test_jobs_that_wait_are_counted(self, service: Served, http: ClientSession) -> None:
        writes = [asyncio.create_task(keep(service.service, f"d-{number}")) for number in range(3)]
        await asyncio.sleep(0)  # each has begun, and waits

        assert service.service.metrics.registry.get_sample_value("consentful_commit_queue") == 3
        await asyncio.gather(*writes)
        assert (await series(http))["consentful_commit_queue"] == 0

    async def test_one_that_cannot_write_is_seen_and_its_recovery_as_well(
        self, service: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fails() -> None:
            raise StorageFailed

        with monkeypatch.context() as broken:
            broken.setattr(service.service.store, "probe", fails)
            async with http.get("/readyz") as response:
                assert response.status == 503
            found = await series(http)
            assert (found["consentful_store_up"], found["consentful_ready"]) == (0, 0)
            assert "consentful_refusals_total storage" not in found, "a probe is no client that was refused"
        await Housekeeping(service.service).refresh()
        found = await series(http)

        assert (found["consentful_store_up"], found["consentful_ready"]) == (1, 1)

    async def test_the_disks_are_measured(self, service: Served, http: ClientSession) -> None:
        await Housekeeping(service.service).refresh()
        found = await series(http)

        for folder in ("data", "keys"):
            assert 0 < found[f"consentful_disk_free_bytes {folder}"] < found[f"consentful_disk_size_bytes {folder}"]


class TestLimits:
    @pytest.mark.parametrize(
        ("settings", "limit"),
        [({"max_text_bytes": 1}, "max_text_bytes"), ({"max_messages": 1}, "max_messages")],
    )
    async def test_a_message_that_exceeds_one_counts_by_its_setting(
        self, live: Live, http: ClientSession, limit: str
    ) -> None:
        await live.open()
        for seq in (1, 2):
            await live.send(Message(seq, "a" * seq))
        while not isinstance(await live.next_frame(), Error):
            pass

        assert (await series(http))[f"consentful_limits_hit_total {limit}"] == 1

    @pytest.mark.parametrize(
        ("settings", "limit"),
        [
            ({"dialogs_per_client": 1}, "dialogs_per_client"),
            ({"opens_per_second": 0.1}, "opens_per_second"),
        ],
    )
    async def test_a_dialog_that_is_not_let_in_counts_by_the_setting_to_raise(
        self, service: Served, http: ClientSession, limit: str
    ) -> None:
        with suppress(WSServerHandshakeError):
            async with http.ws_connect("/v1/dialogs/live"), http.ws_connect("/v1/dialogs/live"):
                pass

        assert (await series(http))[f"consentful_limits_hit_total {limit}"] == 1

    async def test_so_does_memory_that_is_used_up(self, service: Served, http: ClientSession) -> None:
        service.service.registry.take(service.service.registry.limit)
        with suppress(WSServerHandshakeError):
            await http.ws_connect("/v1/dialogs/live")

        assert (await series(http))["consentful_limits_hit_total memory"] == 1
        assert (await series(http))["consentful_refusals_total overloaded"] == 1

    @pytest.mark.parametrize("settings", [{"frames_per_second": 1}])
    async def test_too_many_frames_count(self, live: Live, http: ClientSession) -> None:
        await live.open()
        with suppress(ConnectionError):  # the server reads no more
            for seq in range(1, 2 * CHARGED_FRAMES):
                await live.send(Message(seq, "Hi"))
        await live.until_closed()

        assert (await series(http))["consentful_limits_hit_total frames_per_second"] == 1


class TestDenials:
    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {"auth": "keys"}

    async def test_each_counts_by_its_reason(self, service: Served, http: ClientSession, clock: FakeClock) -> None:
        keys = service.service.api_keys
        expired = await keys.create("old", SCOPES, expires_at=to_micros(clock.now()))
        revoked = await service.create_key()
        await service.revoke_key(revoked)
        writes, bound = await service.create_key("dialogs:write"), await service.create_key(purposes=("research",))
        before = await series(http)
        for path, token in (
            ("/v1/messages", None),
            ("/v1/messages", "no key"),
            ("/v1/messages", revoked[:-1] + ("a" if revoked[-1] != "a" else "b")),
            ("/v1/messages", "cfl_000000000000_a"),
            ("/v1/messages", expired),
            ("/v1/messages", revoked),
            ("/v1/messages", writes),
            ("/v1/access-log", bound),
        ):
            async with http.get(path, headers=bearer(token)) as response:
                assert response.status in (401, 403)

        assert await grown(http, before, "consentful_auth_refusals_total") == {
            "missing": 1,
            "malformed": 1,
            "unknown": 2,
            "expired": 1,
            "revoked": 1,
            "scope": 1,
            "purposes": 1,
        }

    async def test_one_before_an_upgrade_counts_once(self, http: ClientSession) -> None:
        with suppress(WSServerHandshakeError):
            await http.ws_connect("/v1/dialogs/live")

        assert (await series(http))["consentful_auth_refusals_total missing"] == 1


class TestConnections:
    async def test_open_ones_are_counted_against_their_limit(self, http: ClientSession, live: Live) -> None:
        await live.open()
        found = await series(http)

        assert found["consentful_connections"] == 2
        assert found["consentful_connections_limit"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 256

    async def test_those_refused_before_a_request_are(
        self, service: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await exchange(service.url, b"GET / HTTP/9.9\r\n\r\n")
        too_large = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 4000) for number in range(10))
        await exchange(service.url, b"GET / HTTP/1.1\r\n" + too_large, to_the_end=True)
        with monkeypatch.context() as impatient:
            impatient.setattr(protocol, "HEAD_S", 0.01)
            await exchange(service.url, b"GET / HTTP/1.1\r\n", to_the_end=True)
        found = await series(http)

        statuses = {status: found[f"consentful_connections_refused_total {status}"] for status in (400, 408, 431)}
        assert statuses == {400: 1, 408: 1, 431: 1}

    async def test_one_without_room_is(
        self, service: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await series(http)  # keeps its connection
        with monkeypatch.context() as full:
            full.setattr(runner, "_RESERVED_FILES", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
            await exchange(service.url, b"GET / HTTP/1.1\r\n\r\n", to_the_end=True)

        assert (await series(http))["consentful_connections_refused_total 503"] == 1


class TestPrivacy:
    async def test_a_dialog_that_expired_and_is_still_stored_is_late(
        self, service: Served, http: ClientSession, clock: FakeClock
    ) -> None:
        async def lag() -> float:
            await Housekeeping(service.service).refresh()
            return (await series(http))["consentful_retention_lag_seconds"]

        assert await lag() == 0
        await keep(service.service, "d-1")
        stored = await service.service.store.dialogs.find("d-1")
        assert isinstance(stored, StoredDialog)
        clock.advance((from_micros(stored.record.expires_at) - clock.now()).total_seconds())
        assert await lag() == 0
        clock.advance(7200)
        assert await lag() == 7200
        await purge(service.service.archive, service.service.store.dialogs, clock)

        assert await lag() == 0

    async def test_an_erasure_ages_until_its_epoch_has_ended(
        self, service: Served, http: ClientSession, clock: FakeClock
    ) -> None:
        async def age() -> float:
            await Housekeeping(service.service).refresh()
            return (await series(http))["consentful_erasures_incomplete_age_seconds"]

        await keep(service.service, "d-1")
        assert await age() == 0
        await service.service.archive.erase("d-1", "withdrawn")
        clock.advance(600)
        assert await age() == 600
        await service.service.rotation.turn()
        clock.advance(600)

        assert await age() == 0

    def test_requests_are_told_by_when_they_are_due(self) -> None:
        metrics, now = Metrics(), datetime(2026, 1, 1, tzinfo=UTC)
        left = [timedelta(seconds=-1), timedelta(0), timedelta(hours=24), timedelta(days=2), timedelta(days=8)]
        show_pending(metrics, [request(now + each) for each in left], now)

        shown = {
            name: metrics.registry.get_sample_value("consentful_privacy_requests_due", {"within": name})
            for name in ("overdue", "1d", "7d", "later")
        }
        assert shown == {"overdue": 2, "1d": 1, "7d": 1, "later": 1}
        assert metrics.registry.get_sample_value("consentful_privacy_request_due_seconds") == -1
        show_pending(metrics, [], now)
        assert metrics.registry.get_sample_value("consentful_privacy_requests_due", {"within": "overdue"}) == 0
        assert metrics.registry.get_sample_value("consentful_privacy_request_due_seconds") == math.inf


class TestProcess:
    async def test_it_tells_its_version_and_that_it_drains(self, service: Served, http: ClientSession) -> None:
        found = await series(http)
        assert found[f"consentful_build_info {version('consentful')}"] == 1
        assert found["consentful_start_time_seconds"] == service.service.clock.now().timestamp()
        assert found["consentful_draining"] == 0
        assert found["consentful_certificate_expiry_timestamp_seconds"] == math.inf

        await drain(service.service)
        assert (await series(http))["consentful_draining"] == 1

    async def test_it_tells_when_its_certificate_expires(self, tmp_path: Path) -> None:
        pair = make_pair(tmp_path)
        async with serve(**pair.settings) as service:
            expires = service.service.metrics.registry.get_sample_value(
                "consentful_certificate_expiry_timestamp_seconds"
            )

        assert expires == load_pem_x509_certificate(pair.certificate.read_bytes()).not_valid_after_utc.timestamp()

    async def test_a_loop_that_is_held_up_is_seen(
        self, service: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(housekeeping_module, "_TICK_S", 0.01)
        ticked = asyncio.Event()

        def tick(_: float) -> Iterator[None]:
            ticked.set()
            yield

        monkeypatch.setattr(service.service.registry, "tick_in_turns", tick)
        running = asyncio.create_task(Housekeeping(service.service).run())
        await ticked.wait()
        before = await series(http)
        ticked.clear()
        time.sleep(0.3)  # noqa: ASYNC251 - what this is about
        await ticked.wait()
        running.cancel()

        assert (await grown(http, before, "consentful_loop_lag_seconds_sum"))[""] >= 0.2


def request(due: datetime) -> PrivacyRequest:
    at = to_micros(due)
    return PrivacyRequest(
        id="r", kind="erasure", status="pending", requested_by="o", received_at=0, due_at=at, dialogs=0, messages=0
    )
