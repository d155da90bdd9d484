"""Behind a proxy with a path: whatever names an address of this server names the one that clients reach it at."""

import re
from pathlib import Path

import pytest
from aiohttp import ClientSession

from consentful_server.errors import BadSetting
from consentful_server.settings import Settings
from consentful_server.testing import Served
from kept import get, keep
from live import Live
from receipts import claims_of

BASE = "https://chat.example/consentful"
BASED = pytest.mark.parametrize("settings", [{"base_url": BASE}, {"base_url": BASE + "/"}], ids=str)
LISTS = ["/v1/messages", "/v1/dialogs", "/data", "/v1/access-log"]


@BASED
@pytest.mark.parametrize("path", LISTS)
async def test_the_link_to_the_next_page_is_reached_from_outside(
    http: ClientSession, service: Served, path: str
) -> None:
    for number in range(3):
        await keep(service.service, f"d-{number}")
    await get(http, "/v1/messages")
    await get(http, "/v1/messages")

    async with http.get(path, params={"limit": "1"}) as response:
        link = response.headers["Link"]

    assert link.startswith(f"<{BASE}{path}?limit=1&")
    following = link.removeprefix(f"<{BASE}").partition(">")[0]
    async with http.get(following) as response:
        assert response.status == 200


@pytest.mark.parametrize("path", LISTS)
async def test_without_one_the_link_is_a_path_of_this_host(http: ClientSession, service: Served, path: str) -> None:
    for number in range(3):
        await keep(service.service, f"d-{number}")
    await get(http, "/v1/messages")
    await get(http, "/v1/messages")

    async with http.get(path, params={"limit": "1"}) as response:
        assert response.headers["Link"].startswith(f"<{path}?limit=1&")


@BASED
@pytest.mark.parametrize("kind", ["erasure", "access"])
async def test_the_outcome_of_a_request_is_found_where_its_location_says(http: ClientSession, kind: str) -> None:
    async with http.post("/v1/privacy-requests", json={"kind": kind, "customer_id": "c-1"}) as response:
        location = response.headers["Location"]
        await response.read()

    assert location.startswith(f"{BASE}/v1/privacy-requests/")
    assert (await http.get(location.removeprefix(BASE))).status == 200


@BASED
async def test_both_documents_name_it(http: ClientSession) -> None:
    assert [server["url"] for server in (await get(http, "/openapi.json"))["servers"]] == [BASE]
    (server,) = (await get(http, "/asyncapi.json"))["servers"].values()
    assert (server["protocol"], server["host"], server["pathname"]) == ("wss", "chat.example", "/consentful")


@BASED
async def test_a_receipt_says_where_the_consent_can_be_withdrawn(live: Live) -> None:
    await live.open()
    await live.say("Hi")

    stored = await live.grant()

    assert claims_of(stored.receipt)["withdraw_url"] == f"{BASE}/withdraw"


@BASED
async def test_a_webhook_bot_is_told_too_where_the_consent_can_be_withdrawn(http: ClientSession) -> None:
    async with http.post("/data/c-1/d-1", json={"text": "Hi"}) as response:
        assert response.status == 201

    async with http.post("/consents/d-1", json=True) as response:
        assert (await response.json())["withdrawUrl"] == f"{BASE}/withdraw"


async def test_without_one_a_receipt_names_no_address(live: Live) -> None:
    await live.open()
    await live.say("Hi")

    assert "withdraw_url" not in claims_of((await live.grant()).receipt)


@pytest.mark.parametrize(
    "url",
    ["https://chat.example", "https://chat.example/", "http://localhost:8080/a/b/", "https://[::1]:8443/~c", "", BASE],
)
def test_the_url_of_a_server_is_taken(url: str) -> None:
    assert Settings(base_url=url).address_of("/v1") == url.rstrip("/") + "/v1"


@pytest.mark.parametrize(
    "url",
    [
        *("chat.example", "/consentful", "//chat.example", "ftp://chat.example", "https://", "https:///a"),
        *("https://chat.example?a", "https://chat.example/#a", "https://chat.example//a", "https://Chat.example"),
        *("https://u:p@chat.example", "https://chat.example/a b", 'https://chat.example/">', "https://chat.example\n"),
    ],
)
def test_anything_else_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(BadSetting, match=r"^base_url: must be the URL at which clients reach this server"):
        Settings(base_url=url)


STATIC = sorted(file for file in Settings().static.iterdir() if file.suffix in (".html", ".js", ".css"))
_FROM_THE_HOST = re.compile(r"""(?:href|src|action)=["']/|\b(?:fetch|import)\(["'`]/|from ["']/|url\(["']?/""")


@pytest.mark.parametrize("file", STATIC, ids=lambda file: file.name)
def test_no_page_and_no_script_names_an_address_from_the_host_on(file: Path) -> None:
    assert _FROM_THE_HOST.findall(file.read_text("utf-8")) == []


def test_an_address_from_the_host_on_would_be_found() -> None:
    for text in ('<a href="/docs">', "fetch(`/v1/x`)", 'import x from "/static/a.js"', "url(/static/a.svg)"):
        assert _FROM_THE_HOST.search(text), text
