"""`/v1/operations`: the state of the service for its operators, now and as events."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from consentful_server.app import drain
from consentful_server.edges.routes import operations as routes
from consentful_server.operations import overviews
from consentful_server.operations.housekeeping import Housekeeping
from consentful_server.operations.overview import overview, shown_settings, without_credentials
from consentful_server.settings import Settings
from consentful_server.telemetry.metrics import Metrics
from consentful_server.testing import Served
from consentful_server.workers.reports import merged, report_of
from kept import bearer, get, keep
from live import Live

MARKER = "contraband4711"
EVENTS = "/v1/operations/events"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events follow each other without a pause, and each is made anew."""
    monkeypatch.setattr(overviews, "FRESH_S", 0)
    monkeypatch.setattr(routes, "_EVERY_S", 0.01)


def counted(counts: dict[str, float]) -> dict[str, float]:
    """Return what was counted: some labels are there from the start."""
    return {label: count for label, count in counts.items() if count}


async def events(response: ClientResponse) -> AsyncGenerator[dict[str, Any]]:
    """Yield each event of a stream, until it ends."""
    async for line in response.content:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


@asynccontextmanager
async def watching(http: ClientSession, token: str | None = None) -> AsyncGenerator[AsyncGenerator[dict[str, Any]]]:
    async with http.get(EVENTS, headers=bearer(token)) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        async with aclosing(events(response)) as found:
            yield found


async def test_it_tells_what_the_service_holds_and_did(service: Served, http: ClientSession, live: Live) -> None:
    await live.open()
    await live.say("Hi")
    await live.grant()
    await http.get("/v1/messages?limit=x")
    await Housekeeping(service.service).refresh()

    now = (await get(http, "/v1/operations"))["now"]

    assert now["parts"] == {"serving": "ready", "chores": "ready", "store": "ready"}
    assert (now["workers"], now["draining"]) == (1, False)
    assert counted(now["decisions"]) == {"stored": 1}
    assert counted(now["refusals"]) == {"bad_request": 1}
    assert now["dialogs"]["limit_bytes"] == service.service.settings.memory
    assert now["consent_seconds"]["count"] == 1
    assert 0 < now["consent_seconds"]["p50"] <= now["consent_seconds"]["p99"]
    assert {disk["folder"] for disk in now["disks"]} == {"data", "keys"}
    assert now["store"]["has_reserve"] in (True, False)
    assert now["privacy"]["request_due_seconds"] is None
    assert now["keys"]["certificate_expires_at"] is None


async def test_an_empty_service_has_no_quantiles(http: ClientSession) -> None:
    consent = (await get(http, "/v1/operations"))["now"]["consent_seconds"]

    assert (consent["count"], consent["p50"], consent["p99"]) == (0, None, None)


async def test_it_has_no_words(http: ClientSession, dial: Callable[..., Any]) -> None:
    live: Live = await dial()
    await live.open(MARKER, dialog_id=MARKER, bot=MARKER, metadata={MARKER: MARKER})
    await live.say(MARKER)
    await live.grant()
    await http.post(f"/data/{MARKER}/{MARKER}2", json={"text": MARKER, "language": MARKER})
    await http.get(f"/{MARKER}?{MARKER}={MARKER}")

    async with http.get("/v1/operations") as response:
        assert MARKER not in await response.text()


@pytest.mark.usefixtures("at_once")
class TestEvents:
    async def test_each_shows_what_has_changed(self, service: Served, http: ClientSession) -> None:
        async with watching(http) as found:
            first = await anext(found)
            await keep(service.service, "d-1")
            async with asyncio.timeout(10):
                while (await anext(found))["store"]["commit_jobs"]["count"] == first["store"]["commit_jobs"]["count"]:
                    pass

    async def test_they_end_when_the_server_drains(self, service: Served, http: ClientSession) -> None:
        async with asyncio.timeout(10), watching(http) as found:
            assert not (await anext(found))["draining"]
            await drain(service.service)
            rest = [event async for event in found]

        assert rest[-1]["draining"]
        assert rest[-1]["parts"]["serving"] == "overloaded"

    @pytest.mark.parametrize("settings", [{"auth": "keys"}])
    async def test_they_end_when_the_key_is_revoked(self, service: Served, http: ClientSession) -> None:
        key = await service.create_key("operate")
        async with asyncio.timeout(10), watching(http, key) as found:
            await anext(found)
            await service.revoke_key(key)
            async for _ in found:
                pass
        async with http.get(EVENTS, headers=bearer(key)) as again:
            assert again.status == 401

    async def test_there_are_only_so_many_at_a_time(self, http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(overviews, "MOST_WATCHERS", 1)
        async with watching(http) as found:
            await anext(found)
            async with http.get(EVENTS) as refused:
                assert refused.status == 503
                assert (await refused.json(content_type=None))["code"] == "overloaded"
        async with asyncio.timeout(10):
            while True:  # the place is free once the server sees that the client is gone
                async with http.get(EVENTS) as again:
                    if again.status == 200:
                        break

    async def test_many_watchers_cost_what_one_does(
        self, http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(overviews, "FRESH_S", 3600)
        asked, report = list[int](), service.service.merged_report

        async def asked_for() -> Any:
            asked.append(1)
            return await report()

        monkeypatch.setattr(service.service, "merged_report", asked_for)
        for _ in range(5):
            async with watching(http) as found:
                await anext(found)
                await anext(found)

        assert len(asked) == 1


def test_workers_are_shown_as_one_service() -> None:
    one, other = Metrics(), Metrics()
    for metrics, live, took in ((one, 2, 0.002), (other, 5, 2.0)):
        metrics.live.set(live)
        metrics.decisions.labels("stored").inc(live)
        metrics.consent.observe(took)

    now = overview(merged([report_of(one), report_of(other)]), at=0, parts={})

    assert (now.workers, now.dialogs.live, counted(now.decisions)) == (2, 7, {"stored": 7})
    assert now.consent_seconds.count == 2
    assert now.consent_seconds.p99 is not None
    assert 1 < now.consent_seconds.p99 <= 2.5


def test_settings_are_shown_without_what_may_be_a_secret() -> None:
    shown = shown_settings(
        Settings(
            database=f"postgresql://me:{MARKER}@db.example:5432/kept?password={MARKER}",
            keys_command=f"https://kms.example/wrap?key={MARKER}",
            allow_origin=("https://a.example", "https://b.example"),
            port=8443,
        )
    )

    assert MARKER not in str(shown)
    assert shown["database"] == "postgresql://db.example:5432/kept"
    assert shown["keys_command"] == "(set)"
    assert shown["allow_origin"] == "https://a.example, https://b.example"
    assert (shown["port"], shown["tls_cert"]) == ("8443", "")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///data/kept.db", "sqlite:///data/kept.db"),
        ("postgresql://u:p@a,b:5/kept?x=y", "postgresql://a,b:5/kept"),
        ("https://u:p/w@host/path", "https://host/path"),
        ("sqlite:////home/me@work/kept.db", "sqlite:////home/me@work/kept.db"),
        ("/a/path@home", "/a/path@home"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown
