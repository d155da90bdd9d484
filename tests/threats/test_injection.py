"""What is sent stays what it is: it becomes no part of a statement, and no line of a log."""

import io
import json
import logging
from collections.abc import AsyncGenerator, Generator

import pytest
from aiohttp import ClientSession
from yarl import URL

from all_routes import every_request, every_route
from consentful_server.testing import Served, serve
from kept import keep, texts
from live import connect
from logs import shipped
from raw import request

SQL = [
    "' OR '1'='1",
    "'; DROP TABLE dialogs; --",
    '" OR ""="',
    "1) UNION SELECT key FROM dialog_keys --",
    "%",
    "_%",
    "d-1'/*",
    "\\'; DELETE FROM messages; --",
    "x') OR 1=1 --",
    "?1",
    ":dialog_id",
    "[a-z]*",
]


FILTERS = ("language", "customer", "dialog_id", "role", "bot", "purpose", "since", "cursor", "after", "limit")


@pytest.fixture
async def service() -> AsyncGenerator[Served]:
    async with serve() as served:
        await keep(served.service, "d-1", ["Hi"], customer_id="c-1", bot="shop", language="en")
        yield served


@pytest.fixture
async def http(service: Served) -> AsyncGenerator[ClientSession]:
    async with ClientSession(service.url) as session:
        yield session


async def test_no_filter_is_sql(http: ClientSession) -> None:
    for attack in SQL:
        for name in FILTERS:
            async with http.get("/v1/messages", params={name: attack}) as response:
                assert response.status in (200, 400)
                assert (await response.json()).get("items", []) == []
        for body in ({"q": attack}, {"customer_id": attack}, {"bot": attack}, {"metadata": {attack: attack}}):
            for path in ("/v1/messages/search", "/v1/dialogs:search"):
                async with http.post(path, json=body) as response:
                    assert (response.status, (await response.json())["items"]) == (200, [])

    assert await texts(http) == ["Hi"]


async def test_no_id_customer_or_code_is_sql(http: ClientSession) -> None:
    for attack in SQL:
        quoted = "".join(f"%{byte:02x}" for byte in attack.encode())
        for method, path in every_route("ID"):
            if "ID" in path:
                url = URL(path.replace("ID", quoted), encoded=True)
                async with http.request(method, url, json={"text": attack}) as response:
                    assert response.status in (201, 400, 404), path  # 201: held in memory, under this id
        async with http.post("/v1/withdrawals", json={"code": attack}) as response:
            assert response.status == 404
        async with http.post("/v1/privacy-requests", json={"kind": "erasure", "customer_id": attack}) as response:
            assert (response.status, (await response.json())["dialogs"]) == (201, 0)

    assert await texts(http) == ["Hi"]


async def test_what_looks_like_sql_is_kept_and_found_like_any_other_words(http: ClientSession, service: Served) -> None:
    for number, attack in enumerate(SQL):
        await keep(service.service, f"a-{number}", [attack], customer_id=attack, bot=attack)

        assert await texts(http, bot=attack) == [attack]
        async with http.post("/v1/messages/search", json={"customer_id": attack}) as response:
            assert [item["text"] for item in (await response.json())["items"]] == [attack]
    assert len(await texts(http)) == 1 + len(SQL)


FORGED = 'x\r\n2026-01-01T00:00:00Z [info] forged\n{"event":"forged"}\x1b[2J\u2028\u0085forged'


@pytest.fixture(params=["console", "json"])
def log(request: pytest.FixtureRequest) -> Generator[io.StringIO]:
    """What the server writes, in each of its forms, at the lowest level."""
    written, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(written)
    with shipped(request.param) as formatter:
        handler.setFormatter(formatter)
        root.handlers[:] = [handler]
        yield written


def test_whatever_is_logged_is_one_line_without_control_characters(log: io.StringIO) -> None:
    logging.getLogger("any").info("sent", extra={"value": FORGED, "escape": "\x1b[2Jforged", "path": FORGED})

    (line,) = log.getvalue().split("\n")[:-1]
    assert line.isprintable()


async def test_nothing_that_is_sent_forges_a_line_of_the_log(
    http: ClientSession, service: Served, log: io.StringIO
) -> None:
    quoted = "".join(f"%{byte:02x}" for byte in FORGED.encode())
    for method, path in every_request("ID"):
        await request(
            service.url, path.replace("ID", quoted), ("User-Agent", FORGED.encode()[:1] + b"\x1b[2J"), method=method
        )
    async with connect(http, "") as live:
        await live.send_raw(json.dumps({"type": "open", "customer_id": FORGED, "dialog_id": FORGED}).encode())
        await live.next_frame()
        await live.open(FORGED, metadata={"key": FORGED})
        await live.say(FORGED)
        await live.grant()
        await live.closed()

    lines = log.getvalue().split("\n")
    assert len(lines) > 1
    assert not any("forged" in line for line in lines)
