"""Bytes that a parser should not be asked to read: whatever comes, the answer is HTTP, and nobody else notices."""

import asyncio
import re
from collections.abc import Generator

import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from documented import served
from live import PATH
from raw import UPGRADE

MARKER = b"contraband4711"

SEEDS = [
    b"GET /v1/messages?limit=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + MARKER + b"\r\n\r\n",
    b"POST /data/c-1/d-1 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 14\r\n\r\n" + MARKER,
    b"POST /data/c-1/d-1 HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\n\r\n",
    f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
    + b"".join(f"{name}: {value}\r\n".encode() for name, value in UPGRADE.items())
    + b"\r\n\x81\x85\x00\x00\x00\x00hello\x88\x80\x00\x00\x00\x00",
]
PIECES = [
    *(b"\r\n", b"\n", b"\r", b"\x00", b":", b" ", b"\t", b"\xff", b"\xc3\x28", b"HTTP/9.9", b"%00", b"-1", b"9" * 30),
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: " + MARKER + b"\r\n",
    b"A" * 9000,
]


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """Return a request with pieces put in, taken out and doubled."""
    request = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        at, end = sorted(draw(st.tuples(*[st.integers(0, len(request))] * 2)))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=8) | st.just(request[at:end]))
        request = request[:at] + piece + request[draw(st.sampled_from([at, end])) :]
    return request


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with served(tmp_path_factory.mktemp("parser")) as running:
        yield running


async def answer_to(url: str, sent: bytes) -> bytes:
    """Return what comes back when the client sends this and no more."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        writer.write_eof()
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def is_well(url: str) -> bool:
    async with ClientSession(url) as http, http.get("/healthz") as response:
        return response.status == 200


NO_VERSION = SEEDS[-1].replace(b"Sec-WebSocket-Version: ", b"Sec-WebSocket-Version:\x86 ")


@example(sent=NO_VERSION)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(sent=spoilt())
def test_whatever_is_sent_is_answered_within_http_and_nobody_else_notices(url: str, sent: bytes) -> None:
    answer = asyncio.run(answer_to(url, sent))

    statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d+) ", answer)]
    assert all(status in range(100, 500) or status in (501, 505) for status in statuses), answer
    quotable = re.findall(rb"[?&]([^=&\s]+)", sent.split(b"\n")[0])  # the name of an unknown parameter is told back
    assert MARKER not in answer or any(MARKER in name for name in quotable)
    assert asyncio.run(is_well(url))
