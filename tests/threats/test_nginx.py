"""Behind the nginx that is documented: dialogs go through, nothing is written, nothing is smuggled."""

import json
import subprocess
from collections.abc import AsyncGenerator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from urllib.parse import urljoin

import pytest
from aiohttp import ClientSession, TCPConnector

import consentful
from all_routes import filled
from consentful_server.app import ROUTES
from consentful_server.errors import Overloaded
from consentful_server.testing import FakeClock, Served, serve
from front import Front, configure, front
from kept import bearer, eventually, texts
from needs import need
from receipts import claims_of

MARKER = "contraband4711"
EVENTS = "/v1/operations/events"


@pytest.fixture
async def service() -> AsyncGenerator[Served]:
    async with serve(auth="keys", trusted_proxy=("127.0.0.1",), clock=FakeClock()) as served:
        yield served


@pytest.fixture
async def nginx(service: Served, tmp_path: Path) -> AsyncGenerator[Front]:
    async with front(tmp_path, [service.url]) as running:
        yield running


@pytest.fixture
async def http(nginx: Front) -> AsyncGenerator[ClientSession]:
    async with ClientSession(nginx.url, connector=TCPConnector(ssl=nginx.pair.trusted())) as session:
        yield session


def test_nginx_takes_the_file_as_it_is_shipped(tmp_path: Path) -> None:
    main, *_ = configure(tmp_path, ["http://127.0.0.1:8080"])

    done = subprocess.run(
        [need("nginx"), "-t", "-p", tmp_path, "-c", main], capture_output=True, text=True, timeout=20, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


async def test_a_dialog_goes_through_and_is_read_back(service: Served, nginx: Front, http: ClientSession) -> None:
    token = await service.create_key()
    async with consentful.open_dialog(nginx.url, customer_id="c-1", token=token, ssl=nginx.pair.trusted()) as dialog:
        await dialog.say("Where is my parcel?")
        await dialog.say("It arrives tomorrow.", role="bot")
        stored = await dialog.grant()

    assert stored.messages == 2
    assert await texts(http, token=token) == ["It arrives tomorrow.", "Where is my parcel?"]
    withdrawn = await consentful.withdraw(nginx.url, stored.withdrawal_code, ssl=nginx.pair.trusted())
    assert withdrawn.dialog_id == stored.dialog_id


async def test_the_log_names_routes_and_nothing_that_was_sent(
    service: Served, nginx: Front, http: ClientSession
) -> None:
    token = await service.create_key()
    told = bearer(token) | {"Referer": f"https://{MARKER}.example/?q={MARKER}", "User-Agent": MARKER, "Cookie": MARKER}
    for route in ROUTES:
        path = f"{filled(route.path, MARKER)}?{MARKER}={MARKER}"
        async with http.request(route.method, path, headers=told, data=MARKER if route.method == "POST" else None):
            pass
    for path in (f"/{MARKER}", f"/v1/dialogs/{MARKER}/{MARKER}", f"/v1/dialogs/{MARKER}%0a{MARKER}"):
        async with http.get(path, headers=told):
            pass
    end = "Connection: close\r\n\r\n"
    await nginx.exchange(f"CONTRABAND /{MARKER} HTTP/1.1\r\nHost: a\r\n{end}".encode())
    await nginx.exchange(f"GET /{MARKER} HTTP/1.1\r\nHost: {MARKER}\r\nBad {MARKER}\r\n{end}".encode())
    await nginx.exchange(f"GET /{MARKER} {MARKER}\r\n\r\n".encode())

    await eventually(lambda: EVENTS in nginx.log)  # it ends when nginx sees that its client is gone
    lines = [json.loads(line) for line in nginx.log.splitlines()]
    assert {line["route"] for line in lines} == {route.path for route in ROUTES} | {"unmatched"}
    assert {line["network"] for line in lines} == {"127.0.0.0/24"}
    assert {line["method"] for line in lines} >= {"GET", "POST", "DELETE", "other"}
    assert any(line["request"] for line in lines)
    written = nginx.written().lower()
    assert MARKER not in written
    assert "contraband" not in written
    assert token.lower() not in written


async def test_a_server_that_is_gone_is_told_and_not_quoted(tmp_path: Path) -> None:
    async with (
        front(tmp_path, ["http://127.0.0.1:9"]) as nginx,
        ClientSession(nginx.url, connector=TCPConnector(ssl=nginx.pair.trusted())) as http,
    ):
        async with http.get(f"/v1/dialogs/{MARKER}?{MARKER}") as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
            problem = json.loads(await response.read())
        assert (problem["code"], problem["detail"]) == (Overloaded.code, str(Overloaded()))
        assert MARKER not in nginx.written()


async def test_nothing_that_is_sent_is_spilled_to_a_file(service: Served, nginx: Front, http: ClientSession) -> None:
    """nginx has no folder to spill to here, so with a buffer for bodies this would be a 500."""
    token = await service.create_key()
    async with http.post("/v1/messages/search", data=BytesIO(b" " * 200_000), headers=bearer(token)) as response:
        assert response.status == 415
    async with http.post("/v1/withdrawals", json={"code": "A" * 300_000}) as response:
        assert response.status == 413
    typed = {"Content-Type": "application/json"}
    async with http.post("/v1/withdrawals", data=BytesIO(b"x" * 2_000_000), headers=typed) as response:
        assert (response.status, (await response.json())["code"]) == (413, "too_large")


async def test_a_buffer_for_bodies_would_have_been_noticed(service: Served, tmp_path: Path) -> None:
    def buffered(text: str) -> str:
        return text.replace("proxy_request_buffering  off;", "")

    async with (
        front(tmp_path, [service.url], buffered) as nginx,
        ClientSession(nginx.url, connector=TCPConnector(ssl=nginx.pair.trusted())) as http,
        http.post("/v1/withdrawals", json={"code": "A" * 300_000}) as response,
    ):
        assert response.status == 500


async def test_each_client_has_its_own_share_and_cannot_forge_another(nginx: Front) -> None:
    async def tried(address: str, times: int) -> list[int]:
        statuses: list[int] = []
        line = TCPConnector(ssl=nginx.pair.trusted(), local_addr=(address, 0))
        async with ClientSession(nginx.url, connector=line) as http:
            for number in range(times):
                forged = {"X-Forwarded-For": f"192.0.2.{number}"}
                async with http.post("/v1/withdrawals", json={"code": "AAAAA-AAAAA"}, headers=forged) as response:
                    statuses.append(response.status)
        return statuses

    assert await tried("127.0.0.2", 70) == [404] * 60 + [429] * 10
    assert await tried("127.0.0.3", 1) == [404]


async def test_the_front_says_https_alone_and_leads_only_people_there(nginx: Front, http: ClientSession) -> None:
    async with http.get("/healthz") as response:
        assert response.headers.getall("Strict-Transport-Security") == ["max-age=31536000"]
        assert "nginx/" not in response.headers.get("Server", "")
    async with ClientSession(nginx.plain_url) as plain:
        for path, status in (("/", 301), ("/withdraw", 301), ("/v1/messages", 403), ("/v1/dialogs/live", 403)):
            async with plain.get(path, allow_redirects=False, headers=bearer("cfl_a_b")) as response:
                assert response.status == status


METRICS = [
    "/metrics",
    "/metrics?x",
    "/%6detrics",
    "/./metrics",
    "//metrics",
    "/healthz/../metrics",
    "/metrics;x",
    "/metrics/",
]


@pytest.mark.parametrize("path", METRICS)
async def test_metrics_are_not_for_the_world(nginx: Front, path: str) -> None:
    answer = await nginx.exchange(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())

    assert answer.split(b" ", 2)[1] == b"404"
    assert b"consentful_dialogs_live" not in answer


PREFIX = "/consentful"
BASE = f"https://chat.example{PREFIX}"


def prefixed(text: str) -> str:
    """Return our file with all of the server under a path, and nothing beside it."""
    everything = "    location / {\n        proxy_pass"
    changed = text.replace(everything, f"    rewrite ^{PREFIX}(/.*)$ $1 last;\n{everything}")
    assert changed != text
    return changed


class Addresses(HTMLParser):
    """What a page names: files, other pages, and where its form goes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {value for name, value in attrs if name in ("href", "src", "action") and value}


async def test_under_a_path_links_pages_and_dialogs_stay_under_it(tmp_path: Path) -> None:
    async with (
        serve(auth="keys", base_url=BASE, trusted_proxy=("127.0.0.1",), clock=FakeClock()) as service,
        front(tmp_path, [service.url], prefixed) as nginx,
        ClientSession(connector=TCPConnector(ssl=nginx.pair.trusted())) as http,
    ):
        outside = nginx.url + PREFIX
        token = await service.create_key()
        trusted = nginx.pair.trusted()
        async with consentful.open_dialog(outside, customer_id="c-1", token=token, ssl=trusted) as dialog:
            await dialog.say("Where is my parcel?")
            await dialog.say("It arrives tomorrow.", role="bot")
            stored = await dialog.grant()

        async with http.get(f"{outside}/v1/messages?limit=1", headers=bearer(token)) as response:
            link = str(response.links["next"]["url"])
        assert link.startswith(f"{BASE}/v1/messages?")
        async with http.get(link.replace(BASE, outside), headers=bearer(token)) as response:
            assert [item["text"] for item in (await response.json())["items"]] == ["Where is my parcel?"]

        assert claims_of(stored.receipt)["withdraw_url"] == f"{BASE}/withdraw"
        async with http.post(f"{outside}/withdraw", data={"code": stored.withdrawal_code}) as response:
            assert response.status == 200

        for page in ("/", "/withdraw", "/explore", "/docs", "/docs/live"):
            async with http.get(outside + page) as response:
                addresses = Addresses()
                addresses.feed(await response.text())
            files = {urljoin(outside + page, found) for found in addresses.found if not found.startswith("#")}
            assert files
            for address in files:
                assert address.startswith(f"{outside}/"), (page, address)
                async with http.get(address, headers=bearer(token)) as response:
                    assert response.status == 200, (page, address)
