"""Behind the HAProxy that is shipped: dialogs go through, one dialog's requests meet one server, no word is logged."""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector
from yarl import URL

import consentful
from all_routes import filled
from consentful_server.app import ROUTES
from consentful_server.edges.routes import operations
from consentful_server.errors import Overloaded
from consentful_server.testing import FakeClock, Served, serve
from kept import bearer, eventually, get, texts
from logs import until_written
from needs import need
from raw import UPGRADE

from .haproxy import Front, configure, front

MARKER = "contraband4711"
EVENTS = "/v1/operations/events"
NOWHERE = ("127.0.0.1:9",)


def address(served: Served) -> str:
    return served.url.removeprefix("http://")


@pytest.fixture
async def nodes() -> AsyncGenerator[tuple[Served, Served]]:
    """Two services with a store each, so that it shows who got what."""
    async with serve() as one, serve() as two:
        yield one, two


@pytest.fixture
async def service() -> AsyncGenerator[Served]:
    async with serve(auth="keys", trusted_proxy=("127.0.0.1",), clock=FakeClock()) as served:
        yield served


@pytest.fixture
async def haproxy(service: Served, tmp_path: Path) -> AsyncGenerator[Front]:
    async with front(tmp_path, [address(service)]) as running:
        yield running


def session(haproxy: Front, **options: Any) -> ClientSession:
    return ClientSession(haproxy.url, connector=TCPConnector(ssl=haproxy.pair.trusted(), **options))


def test_haproxy_takes_the_file_as_it_is_shipped(tmp_path: Path) -> None:
    path, _ = configure(tmp_path, NOWHERE)

    done = subprocess.run([need("haproxy"), "-c", "-f", path], capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr


async def test_a_dialog_goes_through_and_is_read_back(service: Served, haproxy: Front) -> None:
    token, trusted = await service.create_key(), haproxy.pair.trusted()
    async with consentful.open_dialog(haproxy.url, customer_id="c-1", token=token, ssl=trusted) as dialog:
        await dialog.say("Where is my parcel?")
        await dialog.say("It arrives tomorrow.", role="bot")
        stored = await dialog.grant()

    async with session(haproxy) as http:
        assert await texts(http, token=token) == ["It arrives tomorrow.", "Where is my parcel?"]
    withdrawn = await consentful.withdraw(haproxy.url, stored.withdrawal_code, ssl=trusted)
    assert withdrawn.dialog_id == stored.dialog_id


async def test_the_log_names_routes_and_nothing_that_was_sent(
    service: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "_EVERY_S", 0.05)  # HAProxy sees that a client is gone when it writes to it
    token = await service.create_key()
    told = bearer(token) | {"Referer": f"https://{MARKER}.example/?q={MARKER}", "User-Agent": MARKER, "Cookie": MARKER}
    end = "Connection: close\r\n\r\n"
    async with front(tmp_path, [address(service)]) as haproxy:
        async with session(haproxy) as http:
            for route in ROUTES:
                path = f"{filled(route.path, MARKER)}?{MARKER}={MARKER}"
                async with http.request(route.method, path, headers=told, data=MARKER):
                    pass
            for path in (f"/{MARKER}", f"/v1/dialogs/{MARKER}/{MARKER}", f"/v1/dialogs/{MARKER}%0a{MARKER}"):
                async with http.get(path, headers=told):
                    pass
        for request in (
            f"CONTRABAND /{MARKER} HTTP/1.1",
            f"GET /{MARKER} {MARKER}",
            f"GET /{MARKER} HTTP/1.1\r\n{MARKER}",
        ):
            await haproxy.exchange(f"{request}\r\nHost: {MARKER}\r\n{end}".encode())

        await eventually(lambda: EVENTS in haproxy.log)
    lines = [json.loads(line) for line in haproxy.log.splitlines() if line.startswith("{")]
    assert {line["route"] for line in lines if "route" in line} >= {route.path for route in ROUTES} | {"unmatched"}
    assert {line["network"] for line in lines} == {"127.0.0.0"}
    assert {line["method"] for line in lines if "method" in line} >= {"GET", "POST", "DELETE", "other"}
    assert any(line.get("request", "-") != "-" for line in lines)
    written = haproxy.log.lower()
    assert MARKER not in written
    assert "contraband" not in written
    assert token.lower() not in written


async def test_a_server_that_is_gone_is_told_with_a_problem_document(tmp_path: Path) -> None:
    async with (
        front(tmp_path, NOWHERE) as haproxy,
        session(haproxy) as http,
        http.get(f"/v1/dialogs/{MARKER}?{MARKER}") as response,
    ):
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
        problem = json.loads(await response.read())
    assert (problem["code"], problem["detail"]) == (Overloaded.code, str(Overloaded()))
    assert MARKER not in haproxy.log


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics?x",
        "/%6detrics",
        "/./metrics",
        "//metrics",
        "/healthz/../metrics",
        "/metrics/",
    ],
)
async def test_metrics_are_not_for_the_world(haproxy: Front, path: str) -> None:
    answer = await haproxy.exchange(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())

    assert answer.split(b" ", 2)[1] == b"404"
    assert b"consentful_dialogs_live" not in answer


async def test_only_the_live_dialog_upgrades_and_only_people_are_led_to_https(haproxy: Front) -> None:
    async with session(haproxy) as http, http.get("/healthz", headers=UPGRADE) as response:
        assert response.status == 200
        assert response.headers.getall("Strict-Transport-Security") == ["max-age=31536000"]
    async with ClientSession(haproxy.plain_url) as plain:
        for path, status in (("/", 301), ("/withdraw", 301), ("/v1/messages", 403), ("/v1/dialogs/live", 403)):
            async with plain.get(path, allow_redirects=False, headers=bearer("cfl_a_b")) as response:
                assert response.status == status


async def test_each_client_has_its_own_share_and_cannot_forge_another(haproxy: Front) -> None:
    async def tried(local: str, times: int) -> list[int]:
        statuses: list[int] = []
        async with session(haproxy, local_addr=(local, 0)) as http:
            for number in range(times):
                forged = {"X-Forwarded-For": f"192.0.2.{number}"}
                async with http.post("/v1/withdrawals", json={"code": "AAAAA-AAAAA"}, headers=forged) as response:
                    statuses.append(response.status)
        return statuses

    assert await tried("127.0.0.2", 70) == [404] * 60 + [429] * 10
    assert await tried("127.0.0.3", 1) == [404]


def impatient(tunnel: str) -> Any:
    def change(text: str) -> str:
        text = re.sub(r"timeout (http-keep-alive|client|server) +\d+s", r"timeout \1 500ms", text)
        return re.sub(r"timeout tunnel +60s", f"timeout tunnel {tunnel}", text)

    return change


async def until_closed(url: str, trusted: Any, token: str) -> consentful.Dialog:
    """Open a dialog and return it once an idle connection, which was opened after it, has been closed."""
    dialog = await consentful.open(url, customer_id="c-1", token=token, ssl=trusted, reconnect_for=0)
    host, port = url.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=trusted)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(30):
        await reader.read()
    writer.close()
    return dialog


async def last_words(dialog: consentful.Dialog) -> consentful.Stored:
    await dialog.say("Still there?")
    return await dialog.grant()


async def test_a_dialog_may_be_silent_for_longer_than_a_request(service: Served, tmp_path: Path) -> None:
    token = await service.create_key()
    async with front(tmp_path, [address(service)], impatient("60s")) as haproxy:
        dialog = await until_closed(haproxy.url, haproxy.pair.trusted(), token)
        assert (await last_words(dialog)).messages == 1


async def test_with_a_short_tunnel_it_would_be_cut(service: Served, tmp_path: Path) -> None:
    token = await service.create_key()
    async with front(tmp_path, [address(service)], impatient("100ms")) as haproxy:
        dialog = await until_closed(haproxy.url, haproxy.pair.trusted(), token)
        with pytest.raises(consentful.Unavailable):
            await last_words(dialog)
        await dialog.close()


async def test_one_dialog_of_the_original_contract_meets_one_server(
    nodes: tuple[Served, Served], tmp_path: Path
) -> None:
    async with front(tmp_path, [address(node) for node in nodes]) as haproxy, session(haproxy) as http:
        for number in range(20):
            for text in ("Hi", "Where is my parcel?"):
                pushed = {"text": text, "language": "EN"}
                async with http.post(URL(f"/data/c%2F{number}/d-{number}", encoded=True), json=pushed) as response:
                    assert response.status == 201, await response.text()
            async with http.post(URL(f"/consents/d%2D{number}", encoded=True), json=True) as response:
                assert (response.status, (await response.json())["messages"]) == (200, 2)

    counts = await asyncio.gather(*map(stored, nodes))
    assert sum(counts) == 20
    assert min(counts) > 0


async def stored(node: Served) -> int:
    async with ClientSession(node.url) as http:
        return len((await get(http, "/v1/dialogs"))["items"])


async def test_a_dialog_of_the_original_contract_stays_on_its_server_while_that_drains(
    nodes: tuple[Served, Served], tmp_path: Path
) -> None:
    async with front(tmp_path, [address(node) for node in nodes]) as haproxy, session(haproxy) as http:

        async def push(number: int) -> int:
            async with http.post(f"/data/c-1/d-{number}", json={"text": "Hi", "language": "EN"}) as response:
                return (await response.json()).get("messages", 0)

        assert [await push(number) for number in range(20)] == [1] * 20
        nodes[0].service.is_draining = True
        await until_written(haproxy.written, b"Server nodes/one is DOWN")
        assert [await push(number) for number in range(20)] == [2] * 20
    assert all(len(node.service.registry) for node in nodes)


@pytest.mark.parametrize("checked", [True, False], ids=["checked", "not yet noticed"])
async def test_a_server_that_drains_keeps_its_dialogs_and_gets_no_new_one(
    nodes: tuple[Served, Served], tmp_path: Path, *, checked: bool
) -> None:
    """Until the check has noticed, the server refuses, and HAProxy asks the other one."""

    def change(text: str) -> str:
        return text if checked else text.replace("server check", "server")

    async with front(tmp_path, [address(node) for node in nodes], change) as haproxy:
        options: dict[str, Any] = {"ssl": haproxy.pair.trusted(), "reconnect_for": 0}
        held = [await consentful.open(haproxy.url, customer_id=f"c-{number}", **options) for number in range(6)]
        assert [len(node.service.registry) for node in nodes] == [3, 3]

        nodes[0].service.is_draining = True
        if checked:
            await until_written(haproxy.written, b"Server nodes/one is DOWN")
        new = [await consentful.open(haproxy.url, customer_id=f"n-{number}", **options) for number in range(6)]

        assert [len(node.service.registry) for node in nodes] == [3, 9]
        for dialog in (*held, *new):
            await dialog.say("Hi")
            await dialog.grant()
    assert await asyncio.gather(*map(stored, nodes)) == [3, 9]
