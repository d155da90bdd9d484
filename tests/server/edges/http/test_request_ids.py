"""Every request has an id, which its response, its problem document, its log lines and the access log have alike."""

import logging
import re
from collections.abc import Callable, Generator
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful.wire import Consent, Stored
from consentful_server.errors import StorageFailed
from consentful_server.testing import Served
from faulty_store import fail_once
from logs import shipped
from raw import CLOSE, exchange, upgrade

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
GIVEN = "0123456789abcdef0123456789ABCDEF"
"""As nginx's `$request_id`."""
FROM_A_PROXY: dict[str, Any] = {"trusted_proxy": ("127.0.0.1",)}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Generator[list[str]]:
    """The log lines, as the server writes them."""
    written: list[str] = []
    with shipped("json") as formatter, caplog.at_level(logging.INFO):

        def emit(record: logging.LogRecord) -> None:
            written.append(formatter.format(record))

        monkeypatch.setattr(caplog.handler, "emit", emit)
        yield written


async def test_each_response_has_one_of_its_own(http: ClientSession) -> None:
    ids: set[str] = set()
    for path in ("/healthz", "/v1/messages", "/nowhere", "/v1/messages?limit=x", "/"):
        async with http.get(path) as response:
            ids.add(response.headers["Request-Id"])

    assert len(ids) == 5
    assert all(UUID.fullmatch(each) for each in ids)


@pytest.mark.parametrize("path", ["/nowhere", "/v1/messages?limit=x", "/v1/privacy-requests/none"])
async def test_a_problem_document_names_it(http: ClientSession, path: str) -> None:
    async with http.get(path) as response:
        problem = await response.json(content_type=None)

    assert problem["request_id"] == response.headers["Request-Id"]


@pytest.mark.parametrize("settings", [FROM_A_PROXY])
async def test_that_of_a_trusted_proxy_is_taken(http: ClientSession) -> None:
    for given in (GIVEN, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"):
        async with http.get("/nowhere", headers={"X-Request-Id": given}) as response:
            assert response.headers["Request-Id"] == given
            assert (await response.json(content_type=None))["request_id"] == given


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({}, GIVEN),
        ({"trusted_proxy": ("192.0.2.1",)}, GIVEN),
        (FROM_A_PROXY, "my name is Ann"),
        (FROM_A_PROXY, "words-of-a-customer"),
        (FROM_A_PROXY, "a" * 65),
        (FROM_A_PROXY, "a" * 7),
        (FROM_A_PROXY, ""),
    ],
)
async def test_another_is_replaced(http: ClientSession, given: str) -> None:
    async with http.get("/healthz", headers={"X-Request-Id": given}) as response:
        assert UUID.fullmatch(response.headers["Request-Id"])


async def test_what_a_request_causes_is_logged_with_it(
    service: Served, http: ClientSession, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(service, monkeypatch, RuntimeError("it breaks"), "find")
    async with http.post("/data/c-1/d-2", json={"text": "Hi", "language": "en"}) as response:
        assert response.status == 500
    (line,) = [line for line in lines if "request failed" in line]

    assert f'"request": "{response.headers["Request-Id"]}"' in line


class TestLive:
    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return FROM_A_PROXY

    @pytest.mark.parametrize("more", [{}, {"Expect": "100-continue"}], ids=["the short way", "by aiohttp's way"])
    async def test_an_upgrade_has_one_as_well(self, service: Served, more: dict[str, str]) -> None:
        headers = {"X-Request-Id": GIVEN, "Sec-WebSocket-Protocol": "consentful.v1.json"} | more
        answer = await exchange(service.url, upgrade(service.url, **headers) + CLOSE)

        assert b" 101 " in answer
        assert f"\r\nRequest-Id: {GIVEN}\r\n".encode() in answer

    async def test_a_decision_is_one_line_with_the_upgrades_id(
        self, dial: Callable[..., Any], lines: list[str]
    ) -> None:
        live = await dial(headers={"X-Request-Id": GIVEN})
        await live.open("a-customer", dialog_id="a-dialog", bot="a-bot", metadata={"a": "metadata"})
        await live.say("some words")
        await live.grant()
        (line,) = [line for line in lines if "dialog decided" in line]

        for field in ('"outcome": "stored"', '"messages": 1', '"channel": "websocket"', f'"request": "{GIVEN}"'):
            assert field in line
        assert not re.search(r"a-customer|a-dialog|a-bot|metadata|words", line)

    async def test_one_that_fails_is_a_line_as_well(
        self,
        service: Served,
        dial: Callable[..., Any],
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        live = await dial()
        await live.open()
        await live.say("Hi")
        fail_once(service, monkeypatch, StorageFailed())
        with caplog.at_level(logging.INFO, "consentful.dialogs"):
            await live.send(Consent(granted=True, last_seq=1))
            await live.next_frame()
            await live.send(Consent(granted=True, last_seq=1))
            await live.receive(Stored)

        told = [record.__dict__["outcome"] for record in caplog.records if record.name == "consentful.dialogs"]
        assert told == ["storage", "stored"]
