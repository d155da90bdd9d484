"""Who may connect to a live dialog: tokens, scopes, origins, hosts and subprotocols, before and after the upgrade."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from consentful import wire
from consentful.wire import Error
from consentful_server.auth.access import Scope
from consentful_server.dialogs.registry import DIALOG_BYTES
from consentful_server.testing import FakeClock, Served
from kept import bearer, keep, texts
from live import PATH, Live
from raw import CLOSE, UPGRADE, exchange, request, upgrade

KEYS = pytest.mark.parametrize("settings", [{"auth": "keys"}])
MARKER = "contraband-4711"


async def refused(dial: Callable[..., Any], **options: Any) -> tuple[int, dict[str, str]]:
    """Return status and headers of a refusal before the upgrade."""
    with pytest.raises(WSServerHandshakeError) as caught:
        await dial(**options)
    return caught.value.status, dict(caught.value.headers or {})


async def told(live: Live) -> tuple[Error, int | None]:
    """Return the frame and the close code with which an upgraded connection was refused."""
    frames, code = await live.until_closed()
    (error,) = frames
    assert isinstance(error, Error)
    return error, code


class TestSubprotocols:
    @pytest.mark.parametrize(
        ("offered", "chosen"),
        [
            ([], None),
            ([wire.JSON], wire.JSON),
            ([wire.MSGPACK], wire.MSGPACK),
            ([wire.MSGPACK, wire.JSON], wire.MSGPACK),
            (["chat", wire.JSON], wire.JSON),
            (["bearer.abc", wire.MSGPACK], wire.MSGPACK),
        ],
    )
    async def test_the_first_that_both_speak_is_chosen(
        self, dial: Callable[..., Any], offered: list[str], chosen: str | None
    ) -> None:
        live = await dial(protocols=offered)

        assert live.socket.protocol == chosen
        await live.open()

    @pytest.mark.parametrize("offered", [["chat"], ["bearer.abc"], ["consentful.v2.json"]])
    async def test_an_offer_without_one_of_ours_is_400(self, dial: Callable[..., Any], offered: list[str]) -> None:
        assert (await refused(dial, protocols=offered))[0] == 400

    async def test_offers_in_several_headers_count_as_one(self, service: Served) -> None:
        offers = [("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Protocol", f"{wire.MSGPACK}")]

        answer = await handshake(service, *offers)

        assert answer.startswith(b"HTTP/1.1 101 ")
        assert f"Sec-WebSocket-Protocol: {wire.MSGPACK}".encode() in answer


class TestTokens:
    @KEYS
    async def test_a_token_in_the_header_lets_in(self, dial: Callable[..., Any], service: Served) -> None:
        live = await dial(token=await service.create_key("dialogs:write"))

        await live.open()

    @KEYS
    async def test_a_token_among_the_subprotocols_lets_in_and_is_not_echoed(
        self, dial: Callable[..., Any], service: Served
    ) -> None:
        key = await service.create_key("dialogs:write")

        live = await dial(protocols=[wire.JSON, wire.BEARER + key])

        assert live.socket.protocol == wire.JSON
        await live.open()

    @KEYS
    @pytest.mark.parametrize("token", [None, "wrong", "cfl_0_0", "cfl__", "Basic x", "cfl_" + "a" * 5000])
    async def test_without_a_valid_token_it_is_401(self, dial: Callable[..., Any], token: str | None) -> None:
        status, headers = await refused(dial, token=token)

        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Bearer")

    @KEYS
    @pytest.mark.parametrize("token", [b"cfl_\xff_\xff", b"\xff", "cfl_ä_ö".encode()])
    async def test_a_token_that_is_no_text_is_401(self, service: Served, token: bytes) -> None:
        for path in (PATH, "/v1/messages"):
            status, _ = await request(service.url, path, ("Authorization", b"Bearer " + token))

            assert status == 401

    @KEYS
    async def test_the_secret_of_a_known_key_in_bytes_that_are_no_text_is_401(self, service: Served) -> None:
        key_id = (await service.create_key()).split("_")[1].encode()

        status, _ = await request(service.url, PATH, ("Authorization", b"Bearer cfl_" + key_id + b"_\xff"))

        assert status == 401

    @KEYS
    async def test_a_revoked_key_is_401_within_five_seconds(
        self, dial: Callable[..., Any], service: Served, clock: FakeClock
    ) -> None:
        key = await service.create_key()
        await dial(token=key)
        await service.service.store.credentials.revoke(key.split("_")[1])

        clock.advance(5)

        assert (await refused(dial, token=key))[0] == 401

    @KEYS
    @pytest.mark.parametrize("scope", ["data:read", "data:identify", "privacy"])
    async def test_a_token_without_the_scope_is_403(
        self, dial: Callable[..., Any], service: Served, scope: Scope
    ) -> None:
        assert (await refused(dial, token=await service.create_key(scope)))[0] == 403

    @KEYS
    async def test_a_token_in_the_url_does_not_count(self, http: ClientSession, service: Served) -> None:
        key = await service.create_key()

        async with http.get(PATH, params={"token": key, "access_token": key}, headers=UPGRADE) as response:
            assert response.status == 401

    @KEYS
    async def test_a_wrong_token_of_a_browser_is_told_after_the_upgrade(self, dial: Callable[..., Any]) -> None:
        live = await dial(protocols=[wire.JSON, wire.BEARER + MARKER])

        error, code = await told(live)
        assert (error.code, code) == ("unauthenticated", 4501)
        assert MARKER not in error.detail

    @KEYS
    async def test_a_missing_scope_of_a_browser_is_told_after_the_upgrade_in_its_encoding(
        self, dial: Callable[..., Any], service: Served
    ) -> None:
        live = await dial(protocols=[wire.MSGPACK, wire.BEARER + await service.create_key("data:read")])

        error, code = await told(live)
        assert (error.code, code) == ("forbidden", 4503)

    @KEYS
    @pytest.mark.parametrize(
        "offers",
        [
            [f"{wire.JSON}, {wire.BEARER}{MARKER}"],
            [f"{wire.BEARER}{MARKER}, {wire.JSON}"],
            [f"{wire.BEARER}{MARKER}", wire.JSON],
            [wire.JSON, f"{wire.BEARER}{MARKER}"],
            [f"{wire.BEARER}{MARKER}"],
            [f"{wire.BEARER}{MARKER}", f"{wire.BEARER}{MARKER}"],
        ],
    )
    async def test_a_token_among_the_subprotocols_is_neither_logged_nor_echoed(
        self, service: Served, caplog: pytest.LogCaptureFixture, offers: list[str]
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            answer = await handshake(service, *(("Sec-WebSocket-Protocol", offer) for offer in offers))

        assert answer.startswith((b"HTTP/1.1 101", b"HTTP/1.1 400"))
        assert MARKER.encode() not in answer
        assert MARKER not in "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)


class TestOrigin:
    @pytest.mark.parametrize("settings", [{"allow_origin": ("https://chat.example",)}])
    async def test_own_and_allowed_origins_come_in(self, dial: Callable[..., Any], service: Served) -> None:
        for origin in (service.url, "https://chat.example"):
            await (await dial(headers={"Origin": origin})).open()

    @pytest.mark.parametrize("settings", [{"allow_origin": ("https://chat.example",)}])
    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "http://chat.example",
            "https://chat.example.evil.example",
            "https://chat.example:444",
            "null",
            "",
            "http://[",
            "http://127.0.0.1:1",
            "file://",
        ],
    )
    async def test_other_origins_are_403(self, dial: Callable[..., Any], origin: str) -> None:
        assert (await refused(dial, headers={"Origin": origin}))[0] == 403

    async def test_another_origin_of_a_browser_with_a_token_is_told_after_the_upgrade(
        self, dial: Callable[..., Any]
    ) -> None:
        live = await dial(protocols=[wire.JSON, "bearer.abc"], headers={"Origin": "https://evil.example"})

        error, code = await told(live)
        assert (error.code, code) == ("forbidden", 4503)


class TestHost:
    @pytest.mark.parametrize("path", [PATH, "/v1/messages", "/", "/data", "/healthz"])
    @pytest.mark.parametrize(
        "host",
        ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "[::2]:80", "["],
    )
    async def test_without_authentication_a_name_of_elsewhere_is_403(
        self, service: Served, host: str, path: str
    ) -> None:
        assert (await request(service.url, path, host=host))[0] == 403

    @pytest.mark.parametrize("host", ["localhost", "LocalHost:8080", "127.0.0.1:1", "[::1]:80", "[::1]", "a.localhost"])
    async def test_without_authentication_names_of_this_machine_come_in(self, service: Served, host: str) -> None:
        assert (await request(service.url, "/v1/messages", host=host))[0] == 200

    @KEYS
    async def test_with_keys_any_name_will_do(self, service: Served) -> None:
        key = await service.create_key()

        status, _ = await request(service.url, "/v1/messages", ("Authorization", f"Bearer {key}"), host="chat.example")

        assert status == 200


class TestForeignPages:
    """With no authentication, any page that this machine's browser shows could post a form here."""

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    async def test_without_authentication_a_page_of_elsewhere_changes_nothing(
        self, http: ClientSession, service: Served, site: str
    ) -> None:
        await keep(service.service, "d-1")
        headers = {"Sec-Fetch-Site": site, "Content-Type": "text/plain"}

        for method, path, body in (
            ("POST", "/data/c-1/d-2", b'{"text": "Hi"}'),
            ("POST", "/consents/d-1", b"false"),
            ("DELETE", "/v1/dialogs/d-1", b""),
        ):
            async with http.request(method, path, data=body, headers=headers) as response:
                assert (response.status, (await response.json())["code"]) == (403, "forbidden")
        assert await texts(http) == ["Hi"]
        assert len(service.service.registry) == 0

    @pytest.mark.parametrize("site", ["same-origin", "none"])
    async def test_this_servers_own_pages_do(self, http: ClientSession, site: str) -> None:
        async with http.post("/data/c-1/d-1", json={"text": "Hi"}, headers={"Sec-Fetch-Site": site}) as response:
            assert response.status == 201

    async def test_a_link_from_elsewhere_leads_here(self, http: ClientSession) -> None:
        assert (await http.get("/", headers={"Sec-Fetch-Site": "cross-site"})).status == 200

    @KEYS
    async def test_with_keys_the_token_decides(self, http: ClientSession, service: Served) -> None:
        headers = bearer(await service.create_key()) | {"Sec-Fetch-Site": "cross-site"}

        assert (await http.post("/data/c-1/d-1", json={"text": "Hi"}, headers=headers)).status == 201


class TestRoom:
    FULL = pytest.mark.parametrize(
        "settings", [{"memory": 2 * DIALOG_BYTES, "max_dialog_bytes": 8, "max_text_bytes": 8}]
    )

    @FULL
    async def test_a_full_server_is_503_with_retry_after(self, dial: Callable[..., Any]) -> None:
        one, two = await dial(), await dial()
        await one.open()
        await two.open()

        status, headers = await refused(dial)

        assert (status, headers["Retry-After"]) == (503, "5")

    @FULL
    async def test_a_browser_is_told_that_a_server_is_full_after_the_upgrade(self, dial: Callable[..., Any]) -> None:
        for live in (await dial(), await dial()):
            await live.open()

        error, code = await told(await dial(protocols=[wire.JSON, "bearer.abc"]))

        assert (error.code, error.retry, error.retry_after_s, code) == ("overloaded", True, 5, 4005)

    @FULL
    async def test_a_dialog_that_ended_makes_room(self, dial: Callable[..., Any]) -> None:
        for live in (await dial(), await dial()):
            await live.open()
            await live.decline()
            await live.closed()

        await (await dial()).open()


class TestHandshake:
    @pytest.mark.parametrize("without", ["Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key"])
    async def test_what_is_no_handshake_is_a_400(self, service: Served, without: str) -> None:
        headers = {**UPGRADE, without: MARKER} if without != "Connection" else {**UPGRADE, "Connection": "close"}

        status, answer = await request(service.url, PATH, *headers.items())

        assert status == 400
        assert b"application/problem+json" in answer
        assert MARKER.encode() not in answer

    async def test_a_plain_get_is_a_400(self, http: ClientSession) -> None:
        async with http.get(PATH) as response:
            assert response.status == 400
            assert (await response.json())["code"] == "bad_request"

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
    async def test_nothing_but_get_upgrades(self, http: ClientSession, method: str) -> None:
        async with http.request(method, PATH, headers=UPGRADE) as response:
            assert response.status in (400, 404, 405)


class TestHeadersOutsideAscii:
    @pytest.mark.parametrize("name", ["Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key"])
    async def test_in_the_handshake_are_400(self, service: Served, name: str) -> None:
        fields = "\r\n".join(f"{key}: {value}" for key, value in (UPGRADE | {name: UPGRADE[name] + " ÿ"}).items())
        host = service.url.removeprefix("http://")
        head = f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n\r\n".encode("latin-1")

        assert (await exchange(service.url, head)).startswith(b"HTTP/1.1 400 ")

    @pytest.mark.parametrize("value", [b"Zo\xeb", "Zoë".encode(), b"\xff\xfe"])
    async def test_in_any_other_header_change_nothing(self, service: Served, value: bytes) -> None:
        head = upgrade(service.url, **{"User-Agent": "VALUE"}).replace(b"VALUE", value)

        assert (await exchange(service.url, head + CLOSE)).startswith(b"HTTP/1.1 101 ")


async def handshake(service: Served, *headers: tuple[str, str]) -> bytes:
    """Return the answer to a handshake, and what follows until the connection ends: the client closes at once."""
    lines = [f"GET {PATH} HTTP/1.1", f"Host: {service.url.removeprefix('http://')}"]
    lines += [f"{name}: {value}" for name, value in (*UPGRADE.items(), *headers)]
    return await exchange(service.url, "\r\n".join(lines).encode() + b"\r\n\r\n" + CLOSE)
