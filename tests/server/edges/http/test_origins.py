"""Which pages are this server's own: scheme, host and port, with the default port written or not."""

import ssl
from unittest.mock import Mock

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import make_mocked_request

from consentful_server.edges.http.origins import Origin, is_foreign, read_origin
from consentful_server.settings import Settings
from consentful_server.testing import Served
from kept import keep, texts

KEYS = Settings(auth="keys")
NONE = Settings(auth="none")
BASED = Settings(auth="keys", base_url="https://chat.example/consentful")


def sent(host: str, *origins: str, secure: bool = False) -> web.Request:
    """Return a request to this host by a page of this origin; `secure` if this server itself speaks TLS."""
    context = Mock(spec=ssl.SSLContext) if secure else None
    request = make_mocked_request("POST", "/", headers={"Host": host}, sslcontext=context)
    headers = request.headers.copy()
    for origin in origins:
        headers.add("Origin", origin)
    return request.clone(headers=headers)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://chat.example", Origin("https", "chat.example", 443)),
        ("https://chat.example:443", Origin("https", "chat.example", 443)),
        ("HTTP://Chat.Example", Origin("http", "chat.example", 80)),
        ("http://[::1]:8080", Origin("http", "[::1]", 8080)),
        ("http://[::1]", Origin("http", "[::1]", 80)),
        *[
            (text, None)
            for text in (
                "null",
                "",
                "file://",
                "chat.example",
                "http://",
                "http://[",
                "http://a:b",
                "http://a/",
                "http://a b",
            )
        ],
        *[
            (text, None)
            for text in ("chrome-extension://abc", "http://u@a", "http://a?", "http://a,http://b", "ws://a")
        ],
    ],
)
def test_an_origin_is_scheme_host_and_port(text: str, origin: Origin | None) -> None:
    assert read_origin(text) == origin


@pytest.mark.parametrize(
    ("settings", "host", "origin", "secure"),
    [
        (KEYS, "chat.example", "https://chat.example", False),
        (KEYS, "chat.example:443", "https://chat.example", False),
        (KEYS, "chat.example", "https://chat.example:443", False),
        (KEYS, "chat.example:80", "http://chat.example", False),
        (KEYS, "CHAT.example:8443", "https://chat.example:8443", False),
        (KEYS, "chat.example:443", "https://chat.example", True),
        (NONE, "127.0.0.1:8080", "http://127.0.0.1:8080", False),
        (NONE, "localhost:80", "http://localhost", False),
        (NONE, "[::1]:8080", "http://[::1]:8080", False),
        (BASED, "127.0.0.1:8080", "https://chat.example", False),
        (BASED, "127.0.0.1:8080", "http://127.0.0.1:8080", False),
    ],
)
def test_a_page_of_this_server_is_its_own(settings: Settings, host: str, origin: str, secure: bool) -> None:
    assert not is_foreign(sent(host, origin, secure=secure), settings)


@pytest.mark.parametrize(
    ("settings", "host", "origin", "secure"),
    [
        (KEYS, "chat.example:443", "http://chat.example", False),
        (KEYS, "chat.example:80", "https://chat.example", False),
        (KEYS, "chat.example", "https://chat.example:8443", False),
        (KEYS, "chat.example", "http://chat.example", True),
        (KEYS, "chat.example", "https://evil.example", False),
        (KEYS, "chat.example", "null", False),
        (NONE, "localhost", "https://localhost", False),
        (NONE, "localhost:8080", "http://127.0.0.1:8080", False),
        (NONE, "localhost:8080", "http://localhost:8081", False),
        (NONE, "localhost:8080", "http://localhost", False),
        (BASED, "127.0.0.1:8080", "http://chat.example", False),
        (BASED, "127.0.0.1:8080", "https://chat.example:8443", False),
    ],
)
def test_any_other_page_is_not(settings: Settings, host: str, origin: str, secure: bool) -> None:
    assert is_foreign(sent(host, origin, secure=secure), settings)


def test_programs_send_no_origin_and_every_one_that_is_sent_counts() -> None:
    assert not is_foreign(sent("chat.example"), KEYS)
    assert is_foreign(sent("chat.example", "https://chat.example", "https://evil.example"), KEYS)


FOREIGN = ("https://evil.example", "http://127.0.0.1:1", "https://127.0.0.1:{port}")
CHANGES = (
    ("POST", "/data/c-1/d-2", b'{"text": "Hi"}'),
    ("POST", "/consents/d-1", b"false"),
    ("DELETE", "/v1/dialogs/d-1", b""),
    ("POST", "/v1/privacy-requests", b'{"kind": "erasure", "customer_id": "c-1"}'),
    ("POST", "/v1/withdrawals", b'{"code": "A"}'),
    ("POST", "/withdraw", b"code=A"),
)


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        *[(origin, site) for origin in FOREIGN for site in ({}, {"Sec-Fetch-Site": "same-origin"})],
        *[("null", site) for site in ({}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "cross-site"})],
    ],
    ids=str,
)
async def test_without_authentication_a_foreign_page_changes_nothing_whatever_its_browser_leaves_out(
    http: ClientSession, service: Served, origin: str, site: dict[str, str]
) -> None:
    await keep(service.service, "d-1", ["Hi"])
    port = service.url.rpartition(":")[2]
    headers = {"Origin": origin.format(port=port), "Content-Type": "text/plain"} | site

    for method, path, body in CHANGES:
        async with http.request(method, path, data=body, headers=headers) as response:
            assert (response.status, (await response.json())["code"]) == (403, "forbidden"), path

    assert await texts(http) == ["Hi"]
    assert len(service.service.registry) == 0


async def test_a_form_of_our_own_may_hide_its_origin(http: ClientSession) -> None:
    headers = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}

    async with http.post("/withdraw", data={"code": "A"}, headers=headers) as response:
        assert response.status == 404


@pytest.mark.parametrize("settings", [{"allow_origin": ("https://chat.example",)}])
async def test_without_authentication_own_and_allowed_pages_change_something(
    http: ClientSession, service: Served
) -> None:
    for number, origin in enumerate((service.url, "https://chat.example")):
        headers = {"Origin": origin}
        async with http.post(f"/data/c-1/d-{number}", json={"text": "Hi"}, headers=headers) as response:
            assert response.status == 201
