"""What protects a browser is on every answer of every route, whatever it is, and no cookie ever."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from aiohttp import ClientSession
from multidict import CIMultiDictProxy

from all_routes import every_request
from consentful_server.edges.http.protection import CONTENT_SECURITY_POLICY
from consentful_server.settings import Settings
from consentful_server.testing import Served
from kept import bearer
from live import PATH
from raw import CLOSE, UPGRADE, exchange

PROTECTION = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PAGES = sorted(Settings().static.glob("*.html"))


def protects(headers: CIMultiDictProxy[str]) -> None:
    assert {name: headers.get(name) for name in PROTECTION} == PROTECTION
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "Set-Cookie" not in headers
    assert headers.get("Access-Control-Allow-Origin", "*") == "*"  # public keys are everybody's
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize("settings", [{"auth": "keys"}])
async def test_no_answer_of_any_route_leaves_without_its_protection(
    http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError

    statuses: set[int] = set()
    good = await service.create_key()
    few = await service.create_key("dialogs:write")

    async def walk(token: str | None) -> None:
        for method, path in every_request("d-1"):
            async with http.request(method, path, headers=bearer(token)) as response:
                statuses.add(response.status)
                protects(response.headers)

    for token in (None, few, good):
        await walk(token)
    monkeypatch.setattr(service.service.access, "authenticate", fails)
    await walk(good)

    assert statuses >= {200, 400, 401, 403, 404, 405, 415, 500}


async def test_an_upgrade_and_what_is_no_http_are_protected_too(service: Served) -> None:
    lines = [
        f"GET {PATH} HTTP/1.1",
        "Host: 127.0.0.1",
        *(f"{name}: {value}" for name, value in UPGRADE.items()),
        "",
        "",
    ]
    upgraded = await exchange(service.url, "\r\n".join(lines).encode() + CLOSE)
    broken = await exchange(service.url, b"GET / HTTP/1.1\r\nBad Header\r\n\r\n")

    assert upgraded.startswith(b"HTTP/1.1 101")
    assert broken.startswith(b"HTTP/1.0 400")
    for answer in (upgraded, broken):
        head = answer.partition(b"\r\n\r\n")[0].decode()
        assert all(f"{name}: {value}" in head for name, value in PROTECTION.items())
        assert CONTENT_SECURITY_POLICY in head


class _Inline(HTMLParser):
    """Finds what a policy without `unsafe-inline` would not run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in given):
            self.found.append(f"<{tag}>")
        self.found += [f"<{tag} {name}>" for name in given if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_has_a_script_or_a_style_of_its_own(page: Path) -> None:
    parser = _Inline()
    parser.feed(page.read_text("utf-8"))

    assert parser.found == []
