"""REST: one dialog and its erasure, the published keys, methods and faults."""

import base64
import json

import pytest
from aiohttp import ClientSession
from cryptography.exceptions import InvalidSignature

from consentful_server.testing import FakeClock, Served
from kept import get, keep, texts
from receipts import verified

from .lists import MARKER


class TestOneDialog:
    async def test_a_dialog_comes_whole_with_its_receipt(self, http: ClientSession, service: Served) -> None:
        stored = await keep(service.service, "d-1", ["one", "two"], metadata={"k": "v"})

        dialog = await get(http, "/v1/dialogs/d-1")

        assert dialog["receipt"] == stored.receipt
        assert dialog["metadata"] == {"k": "v"}
        assert [(message["seq"], message["text"]) for message in dialog["messages"]] == [(1, "one"), (2, "two")]
        assert dialog["expires_at"] > dialog["stored_at"]
        assert "withdrawal_code" not in dialog

    @pytest.mark.parametrize("dialog_id", ["missing", "D-1", "d-1.", "d" * 200])
    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    async def test_a_missing_dialog_is_404(
        self, http: ClientSession, service: Served, method: str, dialog_id: str
    ) -> None:
        await keep(service.service, "d-1")

        async with http.request(method, f"/v1/dialogs/{dialog_id}") as response:
            assert (response.status, (await response.json())["code"]) == (404, "not_found")
        assert await texts(http) == ["Hi"]

    async def test_an_erased_dialog_is_410(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1")
        await http.delete("/v1/dialogs/d-1")

        async with http.get("/v1/dialogs/d-1") as response:
            assert (response.status, (await response.json())["code"]) == (410, "erased")

    async def test_a_retracted_dialog_that_never_was_is_404(self, http: ClientSession, service: Served) -> None:
        await service.service.archive.decline("d-1", "c-1", owner="local", retract=True)

        assert (await http.get("/v1/dialogs/d-1")).status == 404


class TestErasure:
    async def test_erasing_leaves_nothing_to_read(self, http: ClientSession, service: Served, clock: FakeClock) -> None:
        await keep(service.service, "d-1", ["one", "two"])
        await keep(service.service, "d-2", ["three"])

        async with http.delete("/v1/dialogs/d-1") as response:
            erased = await response.json()

        now = clock.now().isoformat().replace("+00:00", "Z")
        assert (response.status, erased) == (200, {"dialog_id": "d-1", "erased_at": now, "status": "unreadable"})
        assert await texts(http) == ["three"]
        async with http.get("/v1/messages?format=ndjson") as stream:
            assert b"one" not in await stream.read()

    async def test_erasing_again_answers_the_same(self, http: ClientSession, service: Served, clock: FakeClock) -> None:
        await keep(service.service, "d-1")
        first = await (await http.delete("/v1/dialogs/d-1")).json()
        clock.advance(60)

        async with http.delete("/v1/dialogs/d-1") as response:
            assert (response.status, await response.json()) == (200, first)


async def test_receipts_are_verified_with_the_published_keys(http: ClientSession, service: Served) -> None:
    stored = await keep(service.service, "d-1", ["one", "two"], bot="shop")
    keys = (await get(http, "/.well-known/jwks.json"))["keys"]

    claims = verified(stored.receipt, *keys)

    assert claims["iss"] == "consentful"
    assert (claims["jti"], claims["messages"], claims["bot"]) == ("d-1", 2, "shop")
    assert claims["sub"] == service.service.archive.pseudonym("c-1")
    head, body, signature = stored.receipt.split(".")
    forged = base64.urlsafe_b64encode(json.dumps(claims | {"messages": 3}).encode()).decode().rstrip("=")
    assert forged != body
    with pytest.raises(InvalidSignature):
        verified(f"{head}.{forged}.{signature}", *keys)


async def test_published_keys_hold_nothing_private(http: ClientSession) -> None:
    async with http.get("/.well-known/jwks.json") as response:
        assert response.content_type == "application/jwk-set+json"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        (key,) = (await response.json(content_type=None))["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}


class TestMethods:
    @pytest.mark.parametrize(
        "path", ["/v1/messages", "/v1/dialogs", "/v1/dialogs/d-1", "/data", "/", "/healthz", "/readyz", "/metrics"]
    )
    async def test_head_answers_like_get_without_a_body(self, http: ClientSession, service: Served, path: str) -> None:
        await keep(service.service, "d-1")

        async with http.head(path) as head, http.get(path) as got:
            assert head.status == got.status == 200
            assert head.content_type == got.content_type
            assert await head.read() == b""

    async def test_head_of_a_stream_reads_nothing(self, http: ClientSession, service: Served) -> None:
        await keep(service.service, "d-1")

        async with http.head("/v1/messages?format=ndjson") as response:
            assert (response.status, response.content_type) == (200, "application/x-ndjson")
            assert await response.read() == b""
        await get(http, "/healthz")

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("OPTIONS", "/v1/messages", {"GET", "HEAD"}),
            ("POST", "/v1/messages", {"GET", "HEAD"}),
            ("DELETE", "/v1/messages", {"GET", "HEAD"}),
            ("GET", "/v1/messages/search", {"POST"}),
            ("GET", "/v1/dialogs:search", {"POST"}),
            ("PUT", "/v1/dialogs/d-1", {"GET", "HEAD", "DELETE"}),
            ("PATCH", "/data", {"GET", "HEAD"}),
            ("GET", "/data/c-1/d-1", {"POST"}),
            ("GET", "/consents/d-1", {"POST"}),
            ("POST", "/healthz", {"GET", "HEAD"}),
        ],
    )
    async def test_another_method_is_405_and_names_those_that_are(
        self, http: ClientSession, method: str, path: str, allowed: set[str]
    ) -> None:
        async with http.request(method, path) as response:
            assert (response.status, (await response.json())["code"]) == (405, "method_not_allowed")
            assert response.content_type == "application/problem+json"
            assert set(response.headers["Allow"].split(",")) == allowed

    @pytest.mark.parametrize("path", ["/v1", "/v2/messages", "/v1/messages//", "/v1/dialogs/d-1/messages", "/admin"])
    async def test_another_path_is_404(self, http: ClientSession, path: str) -> None:
        async with http.get(path) as response:
            assert (response.status, (await response.json())["code"]) == (404, "not_found")
            assert response.content_type == "application/problem+json"


async def test_a_fault_of_ours_is_500_and_tells_nothing(
    http: ClientSession, service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError(MARKER)

    monkeypatch.setattr(service.service.pages, "messages", fails)

    async with http.get("/v1/messages") as response:
        problem = await response.json()

    assert (response.status, problem["code"]) == (500, "internal")
    assert MARKER not in str(problem)
