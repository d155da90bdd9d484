"""A body in which a decision or an identity stands twice decides nothing, on every route that reads JSON."""

import json
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful.wire import Error
from consentful_server.testing import Served
from kept import keep, texts
from live import Live

JSON = {"Content-Type": "application/json"}


async def post(http: ClientSession, path: str, body: bytes) -> tuple[int, Any]:
    async with http.post(path, data=body, headers=JSON) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/consents/d-1", b'{"consent": false, "consent": true}'),
        ("/consents/d-1", b'{"consent": true, "consent": true}'),
        ("/consents/d-1", b'{"consent": true, "\\u0063onsent": false}'),
        ("/consents/d-1", b'{"consent": true, "messages": 2, "messages": 1}'),
        ("/data/c-1/d-1", b'{"text": "one", "text": "two"}'),
        ("/v1/messages/search", b'{"customer_id": "c-1", "customer_id": "c-2"}'),
        ("/v1/messages/search", b'{"q": "a", "q": "b"}'),
        ("/v1/access-log/search", b'{"customer_id": "c-1", "customer_id": "c-2"}'),
        ("/v1/privacy-requests", b'{"kind": "access", "kind": "erasure", "customer_id": "c-1"}'),
        ("/v1/privacy-requests", b'{"kind": "erasure", "customer_id": "c-2", "customer_id": "c-1"}'),
        ("/v1/withdrawals", b'{"code": "AAAAA", "code": "BBBBB"}'),
    ],
)
async def test_a_repeated_key_is_refused_and_nothing_is_done(
    http: ClientSession, service: Served, path: str, body: bytes
) -> None:
    await keep(service.service, "d-0", ["kept"])
    await post(http, "/data/c-1/d-1", b'{"text": "Hi"}')

    status, problem = await post(http, path, body)

    assert (status, problem["parameter"]) == (400, "body")
    assert "repeats a key" in problem["detail"]
    assert await texts(http) == ["kept"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/data/c-1/d-2", b'{"text": "Hi"}', 201),
        ("/consents/d-1", b"true", 200),
        ("/consents/d-1", b'{"consent": true}', 200),
        ("/v1/messages/search", b"{}", 200),
        ("/v1/privacy-requests", b'{"kind": "access", "customer_id": "c-1"}', 201),
    ],
)
async def test_a_byte_order_mark_before_json_is_ignored(
    http: ClientSession, path: str, body: bytes, status: int
) -> None:
    await post(http, "/data/c-1/d-1", b'{"text": "Hi"}')

    assert (await post(http, path, b"\xef\xbb\xbf" + body))[0] == status


@pytest.mark.parametrize("depth", [1_000, 50_000])
async def test_deep_nesting_and_long_numbers_are_malformed_and_nothing_worse(http: ClientSession, depth: int) -> None:
    for body in (
        b"[" * depth + b"]" * depth,
        b'{"a":' * depth + b"1" + b"}" * depth,
        b"1" * depth,
        b"1e" + b"9" * depth,
    ):
        for path in ("/consents/d-1", "/v1/messages/search"):
            status, problem = await post(http, path, body)
            assert (status, problem["code"]) == (400, "bad_request")


async def test_a_frame_that_grants_and_declines_decides_nothing(live: Live, http: ClientSession) -> None:
    await live.open()
    await live.say("Hi")

    await live.send_raw(
        json.dumps({"type": "consent", "last_seq": 1}).encode()[:-1] + b', "granted": false, "granted": true}'
    )

    error = await live.receive(Error)
    assert (error.code, error.detail) == ("frame", "$: repeated field; send each field once")
    assert await texts(http) == []
    await live.grant()
