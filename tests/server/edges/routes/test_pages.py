"""The bundled pages, what operators and load balancers ask, and what protects a browser."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from consentful_server.errors import StorageFailed
from consentful_server.testing import FakeClock, Served
from kept import eventually, get, keep
from live import Live
from raw import request


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/dialogs", "/data", "/v1/messages?format=ndjson", "/readyz"])
async def test_what_is_one_callers_is_not_cached(http: ClientSession, path: str) -> None:
    async with http.get(path) as response:
        assert response.headers["Cache-Control"] == "no-store"


async def test_the_front_page_and_its_files_are_served(http: ClientSession, service: Served) -> None:
    async with http.get("/") as response:
        assert (response.status, response.content_type) == (200, "text/html")
    files = sorted(service.service.settings.static.iterdir())
    assert files
    for file in files:
        async with http.get(f"/static/{file.name}") as response:
            body = await response.read()
            assert response.status == 200
            assert file.suffix == ".html" or body == file.read_bytes()


class TestFiles:
    @pytest.mark.parametrize(
        "name",
        [
            "..",
            "../pyproject.toml",
            "..%2fpyproject.toml",
            "%2e%2e%2fpyproject.toml",
            "..%2Fserver%2Fsecret.html",
            "%2e%2e/secret.html",
            "....//secret.html",
            "..%5csecret.html",
            "%2fetc%2fpasswd",
            "/etc/passwd",
            "%00.html",
            "index.html%00",
            "index.html/",
            "a" * 300 + ".html",
            "%C0%AE%C0%AE%2fsecret.html",
            "..%252fsecret.html",
            ".html",
            "",
            ".",
        ],
    )
    async def test_nothing_outside_the_folder_is_served(self, tmp_path: Path, service: Served, name: str) -> None:
        (tmp_path / "secret.html").write_text("secret")

        status, answer = await request(service.url, f"/static/{name}")

        assert status == 404
        assert b"secret" not in answer

    @pytest.fixture
    def settings(self, tmp_path: Path) -> dict[str, Any]:
        pages = tmp_path / "pages"
        pages.mkdir()
        (pages / "index.html").write_text("<!doctype html>")
        (pages / "notes.txt").write_text("secret")
        return {"static_dir": pages}

    async def test_only_kinds_that_pages_are_made_of_are_served(self, http: ClientSession) -> None:
        assert (await http.get("/static/index.html")).status == 200
        assert (await http.get("/static/notes.txt")).status == 404


class TestHealth:
    async def test_a_running_server_is_alive_and_ready(self, http: ClientSession) -> None:
        assert await get(http, "/healthz") == {"status": "ok"}
        assert await get(http, "/readyz") == {"status": "ready", "retention": "running"}

    async def test_a_server_whose_store_cannot_write_is_not_ready(
        self, http: ClientSession, service: Served, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fails(*_: object) -> None:
            raise StorageFailed

        monkeypatch.setattr(service.service.store._database.writer, "write", fails)  # pyright: ignore
        # A write is at most five seconds old.
        assert await get(http, "/readyz") == {"status": "ready", "retention": "running"}

        clock.advance(5.1)

        async with http.get("/readyz") as response:
            assert (response.status, (await response.json())["code"]) == (503, "storage")
        assert await get(http, "/healthz") == {"status": "ok"}

    async def test_a_stopping_server_is_not_ready_but_alive(self, http: ClientSession, service: Served) -> None:
        service.service.is_draining = True

        async with http.get("/readyz") as response:
            assert response.status == 503
            assert response.headers["Retry-After"]
        assert await get(http, "/healthz") == {"status": "ok"}


class TestMetrics:
    async def read(self, http: ClientSession) -> dict[tuple[str, ...], float]:
        """Return every sample by its name and its labels' values."""
        async with http.get("/metrics") as response:
            assert response.content_type == "text/plain"
            text = await response.text()
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def test_every_metric_has_a_help_text(self, http: ClientSession) -> None:
        async with http.get("/metrics") as response:
            families = list(text_string_to_metric_families(await response.text()))

        assert {family.name for family in families} >= {"consentful_dialogs_live", "consentful_request_seconds"}
        assert all(family.documentation for family in families)

    async def test_dialogs_are_counted_while_they_live_and_by_how_they_end(
        self, http: ClientSession, dial: Any, service: Served
    ) -> None:
        kept, dropped, gone = [await dial() for _ in range(3)]
        for live in (kept, dropped, gone):
            await live.open()
            await live.say("one")
        during = await self.read(http)
        await kept.say("two")
        await kept.grant()
        await kept.closed()
        await dropped.decline()
        await dropped.closed()
        await gone.socket.close()
        await eventually(lambda: len(service.service.registry) == 0)
        after = await self.read(http)

        assert during["consentful_dialogs_live",] == 3
        assert during["consentful_dialogs_bytes",] > 3
        assert after["consentful_dialogs_live",] == after["consentful_dialogs_bytes",] == 0
        assert after["consentful_dialogs_opened_total",] == 3
        assert [after["consentful_dialogs_ended_total", how] for how in ("stored", "discarded", "dropped")] == [1] * 3
        assert after["consentful_messages_total",] == 4
        assert after["consentful_consent_seconds_count",] == 1

    async def test_refused_frames_are_counted_by_code(self, http: ClientSession, live: Live) -> None:
        await live.open()
        await live.send_raw(b"{}")
        await live.next_frame()

        assert (await self.read(http))["consentful_refusals_total", "frame"] == 1

    async def test_requests_are_counted_by_route_never_by_path(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1", customer_id="alice")
        await http.get("/v1/dialogs/d-1")
        await http.get("/v1/dialogs/d-9")
        await http.get("/nowhere/at/all")
        await http.post("/data/alice/d-2", json={"text": "Hi"})

        metrics = await self.read(http)

        count = "consentful_request_seconds_count"
        assert metrics[count, "GET", "/v1/dialogs/{dialog_id}", "200"] == 1
        assert metrics[count, "GET", "/v1/dialogs/{dialog_id}", "404"] == 1
        assert metrics[count, "GET", "unmatched", "404"] == 1
        assert metrics[count, "POST", "/data/{customerId}/{dialogId}", "201"] == 1
        assert not any("alice" in label or "d-1" in label for key in metrics for label in key)
