"""Spans: what is traced, to which trace it belongs, that nothing of it is a word, and that nobody waits for it."""

import asyncio
import json
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from collector import Collector, Told, collecting
from consentful.wire import Consent, Error, Open
from consentful_server.errors import BadSetting, StorageFailed
from consentful_server.telemetry import traces
from consentful_server.telemetry.otlp import LAST_SPANS
from consentful_server.testing import Served, serve
from faulty_store import fail_once
from kept import eventually
from live import Live, connect
from logs import shipped

Dial = Callable[..., Any]

ROOT = Path(__file__).parent.parent.parent.parent
MARKER = "contraband4711"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NAMED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture(autouse=True)
def no_thread_outlives_its_test(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """A sender that tries again draws random numbers, and Hypothesis would blame another test for that."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    yield
    for thread in threading.enumerate():
        if thread.name == LAST_SPANS:
            thread.join()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Generator[Collector]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    with collecting() as collector:
        yield collector


@pytest.fixture
def settings(collector: Collector) -> dict[str, Any]:
    """All spans have arrived when the service has ended, see `told`."""
    return {"otlp_endpoint": collector.url + "/"}


async def told(collector: Collector, name: str, number: int = 1) -> list[Told]:
    """Return the spans of this name once so many have arrived."""
    await eventually(lambda: len(collector.named(name)) >= number)
    found = collector.named(name)
    assert len(found) == number
    return found


async def keep(live: Live, customer_id: str = "c-1", text: str = "Hi", **fields: Any) -> None:
    await live.open(customer_id, **fields)
    await live.say(text)
    await live.grant()


async def test_a_dialog_is_traced_from_its_upgrade_to_its_commit(collector: Collector, dial: Dial) -> None:
    await keep(await dial())

    (opened,), (decided,) = await told(collector, "dialog.open"), await told(collector, "dialog.decision")
    (commit,) = await told(collector, "store.commit")
    assert opened.attributes == {"consentful.channel": "websocket"}
    assert decided.attributes == {
        "consentful.channel": "websocket",
        "consentful.messages": 1,
        "consentful.outcome": "stored",
    }
    assert commit.attributes == {"consentful.jobs": 1}
    assert [span.parent_id for span in (opened, decided, commit)] == ["", opened.span_id, decided.span_id]
    assert opened.trace_id == decided.trace_id == commit.trace_id
    assert 0 < commit.seconds < decided.seconds < 10
    assert not any(span.has_failed for span in collector.spans)


@pytest.mark.parametrize("more", [{}, {"Expect": "100-continue"}], ids=["the short way", "aiohttp's way"])
async def test_it_belongs_to_the_trace_of_its_chatbot(collector: Collector, dial: Dial, more: dict[str, str]) -> None:
    await keep(await dial(headers=NAMED | more))

    for name in ("dialog.open", "dialog.decision", "store.commit"):
        (span,) = await told(collector, name)
        assert span.trace_id == TRACE
    assert PARENT in {span.parent_id for span in collector.spans}


@pytest.mark.parametrize("bad", ["", MARKER, "00-0-0-01", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01"])
async def test_what_is_no_traceparent_begins_a_trace(collector: Collector, dial: Dial, bad: str) -> None:
    await keep(await dial(headers={"traceparent": bad}))

    (opened,) = await told(collector, "dialog.open")
    assert opened.parent_id == ""
    assert opened.trace_id not in (TRACE, "0" * 32)


async def test_requests_are_traced_by_route_and_probes_are_not(collector: Collector, http: ClientSession) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/v1/dialogs/d-9", f"/{MARKER}"):
        async with http.get(path, headers=NAMED) as response:
            await response.read()

    (found,) = await told(collector, "GET /v1/dialogs/{dialog_id}")
    await told(collector, "GET unmatched")
    assert found.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/dialogs/{dialog_id}",
        "http.response.status_code": 404,
    }
    assert (found.trace_id, found.parent_id, found.has_failed) == (TRACE, PARENT, False)
    assert len(collector.spans) == 2


async def test_a_fault_of_ours_fails_its_request(
    collector: Collector, http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise RuntimeError(MARKER)

    monkeypatch.setattr(service.service.pages, "messages", fails)
    async with http.get("/v1/messages") as response:
        assert response.status == 500

    (found,) = await told(collector, "GET /v1/messages")
    assert found.has_failed
    assert found.attributes["error.type"] == "500"


async def test_the_original_contract_and_exports_are_parts_of_their_requests(
    collector: Collector, http: ClientSession
) -> None:
    await http.post("/data/c-1/d-1", json={"text": "Hi", "language": "en"})
    await http.post("/consents/d-1", data="true")
    async with http.get("/v1/messages?format=ndjson") as response:
        await response.read()

    (decision,), (export,) = await told(collector, "dialog.decision"), await told(collector, "export")
    (consent,), (read,) = await told(collector, "POST /consents/{dialogId}"), await told(collector, "GET /v1/messages")
    assert (decision.attributes["consentful.channel"], decision.parent_id) == ("http", consent.span_id)
    assert export.parent_id == read.span_id
    assert export.attributes == {
        "consentful.format": "ndjson",
        "consentful.shape": "messages",
        "consentful.rows": 1,
        "consentful.complete": True,
    }


async def test_a_decision_that_fails_says_by_which_code(
    collector: Collector, live: Live, service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live.open()
    await live.say("Hi")
    fail_once(service, monkeypatch, StorageFailed())
    await live.send(Consent(granted=True, last_seq=1))
    await live.receive(Error)

    (decision,) = await told(collector, "dialog.decision")
    assert decision.has_failed
    assert (decision.attributes["consentful.outcome"], decision.attributes["error.type"]) == ("storage", "storage")


async def test_a_dialog_that_never_opens_fails(collector: Collector, dial: Dial) -> None:
    live: Live = await dial()
    await live.send(Open("c-1", language="no language"))
    await live.socket.close()

    (opened,) = await told(collector, "dialog.open")
    assert opened.has_failed


async def test_no_word_and_no_id_is_in_any_span(collector: Collector, dial: Dial, http: ClientSession) -> None:
    words = {"tracestate": f"{MARKER}={MARKER}", "baggage": f"{MARKER}={MARKER}", "User-Agent": MARKER}
    headers = NAMED | words | {"X-Request-Id": MARKER, "Referer": MARKER}
    await keep(await dial(headers=headers), MARKER, MARKER, dialog_id=MARKER, bot=MARKER, metadata={MARKER: MARKER})
    await http.post(f"/data/{MARKER}/{MARKER}2", json={"text": MARKER, "language": MARKER}, headers=headers)
    await http.post(f"/consents/{MARKER}2", data="true", headers=headers)
    for path in (f"/v1/dialogs/{MARKER}", f"/{MARKER}", f"/v1/messages?format=csv&bot={MARKER}"):
        async with http.get(path, headers=headers) as response:
            await response.read()
    async with http.delete(f"/v1/dialogs/{MARKER}", headers=headers) as response:
        assert response.status == 200

    await told(collector, "DELETE /v1/dialogs/{dialog_id}")
    assert {span.name for span in collector.spans} >= {"dialog.open", "dialog.decision", "store.commit", "export"}
    assert not any(MARKER.encode() in body for body in collector.bodies)


def documented() -> set[str]:
    """Return the names that `docs/operations.md` has under "Traces"."""
    _, _, section = (ROOT / "docs" / "operations.md").read_text("utf-8").partition("\n## Traces\n")
    return set(re.findall(r"`([^`\n]+)`", section.partition("\n## ")[0]))


async def test_every_span_and_attribute_is_documented(collector: Collector, dial: Dial, http: ClientSession) -> None:
    await keep(await dial())
    async with http.get("/v1/messages?format=ndjson") as response:
        await response.read()
    live: Live = await dial()
    await live.socket.close()
    await told(collector, "dialog.open", 2)
    await told(collector, "GET /v1/messages")

    found = {span.name for span in collector.spans} | {name for span in collector.spans for name in span.attributes}
    assert found - {"GET /v1/messages", "GET /v1/dialogs/live"} <= documented()


async def test_log_lines_have_the_ids_of_request_and_trace(
    dial: Dial, http: ClientSession, collector: Collector
) -> None:
    lines: list[dict[str, Any]] = []
    with shipped("json") as formatter:

        class Writing(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                lines.append(json.loads(formatter.format(record)))

        handler = Writing()
        logging.getLogger("consentful").addHandler(handler)
        await keep(await dial(headers=NAMED))
        await http.post("/data/c-1/d-1", json={"text": "Hi", "language": "en"}, headers=NAMED)
        await http.post("/consents/d-1", data="true", headers=NAMED)
        logging.getLogger("consentful").removeHandler(handler)

    decided = [line for line in lines if line["event"] == "dialog decided"]
    spans = {span.span_id for span in await told(collector, "dialog.decision", 2)}
    assert [line["trace_id"] for line in decided] == [TRACE, TRACE]
    assert {line["span_id"] for line in decided} == spans
    assert all(line["request"] for line in decided)


class TestTheCollector:
    async def test_it_is_told_who_sends(self, monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t-1")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        with traces.recording(collector.url + "/otlp/"):
            traces.begin("export", {}).end()

        (span,) = collector.spans
        ((path, headers),) = collector.requests
        assert path == "/otlp/v1/traces"
        assert headers["authorization"] == "Bearer t-1"
        assert span.resource["service.name"] == "consentful"
        assert span.resource["deployment.environment.name"] == "test"
        assert {"service.version", "service.instance.id"} < set(span.resource)

    async def test_the_variables_of_opentelemetry_hold(
        self, monkeypatch: pytest.MonkeyPatch, collector: Collector
    ) -> None:
        monkeypatch.setenv("OTEL_SERVICE_NAME", "chat")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
        with traces.recording(collector.url):
            traces.begin("export", {}).end()
            traces.begin("export", {}, traceparent=NAMED["traceparent"]).end()

        (span,) = collector.spans
        assert (span.trace_id, span.resource["service.name"]) == (TRACE, "chat")

    async def test_what_it_answers_is_not_logged_and_losses_are_told_once(
        self, collector: Collector, caplog: pytest.LogCaptureFixture
    ) -> None:
        collector.status, collector.answer = 400, MARKER.encode()
        with caplog.at_level(logging.INFO), traces.recording(collector.url):
            for number in range(1, 4):
                traces.begin("export", {}).end()
                await eventually(lambda: len(collector.requests) >= number)  # noqa: B023 - it is waited for here

        assert [record.getMessage() for record in caplog.records] == ["spans were not delivered"]
        assert vars(caplog.records[0])["spans"] == 1
        assert MARKER not in caplog.text

    @pytest.mark.parametrize("how", ["it is away", "it does not answer"])
    async def test_nobody_waits_for_one_that_fails_and_the_end_is_bounded(
        self, how: str, collector: Collector, tmp_path: Path
    ) -> None:
        collector.answers.clear()
        url = collector.url if how == "it does not answer" else "http://127.0.0.1:9"
        async with serve(folder=tmp_path, otlp_endpoint=url) as served, ClientSession() as session:
            began = time.monotonic()
            for _ in range(20):
                async with connect(session, served.url) as live:
                    await keep(live)
            assert time.monotonic() - began < 60, "each would wait for 10 s"
            began = time.monotonic()
        assert time.monotonic() - began < 20, "the SDK alone waits for 30 s"

    async def test_more_spans_than_the_queue_holds_are_lost_and_nothing_else(
        self, monkeypatch: pytest.MonkeyPatch, collector: Collector
    ) -> None:
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
        collector.answers.clear()
        with traces.recording(collector.url):
            traces.begin("export", {}).end()
            assert await asyncio.to_thread(collector.reached.wait, 10)
            for _ in range(100):
                traces.begin("export", {}).end()
            collector.answers.set()

        assert len(collector.spans) <= 17


class TestWithout:
    async def test_nothing_is_recorded_and_nothing_is_begun(self, tmp_path: Path) -> None:
        async with serve(folder=tmp_path) as served, ClientSession() as session:
            assert not traces.is_on()
            async with connect(session, served.url, headers=NAMED) as live:
                await keep(live)
            assert traces.begin("export", {}) is traces.NOTHING
            with traces.span("export", {}) as span:
                assert span is traces.CURRENT.get() is traces.NOTHING

    def test_nothing_is_imported(self) -> None:
        code = (
            "import sys, consentful_server.cli, consentful_server.testing\n"
            "sys.exit(any(name.partition('.')[0] == 'opentelemetry' for name in sys.modules))"
        )

        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    def test_without_the_extra_the_setting_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "consentful_server.telemetry.otlp", raising=False)
        monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

        with pytest.raises(BadSetting, match=r"consentful\[server,otel\]"):
            traces.check("http://127.0.0.1:4318")

    def test_a_variable_that_opentelemetry_refuses_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")

        with pytest.raises(BadSetting, match=r"OTEL_…\): max_queue_size must be"):
            traces.check("http://127.0.0.1:4318")
