"""Requests that a front and a server could read differently (RFC 9112 §11.2): neither hides another one in itself.

What is hidden asks for /metrics, which the front refuses to everybody: an answer with a metric in it, or the server's
own count of such requests, would tell that it came through.
"""

import re
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Final

import pytest

from consentful_server.testing import Served, serve
from front import Front, front
from raw import exchange

HIDDEN: Final = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
END: Final = b"0\r\n\r\n"


def post(*headers: bytes, body: bytes) -> bytes:
    return b"\r\n".join([b"POST /v1/withdrawals HTTP/1.1", b"Host: 127.0.0.1", *headers, b"", body])


def length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


CHUNKED: Final = b"Transfer-Encoding: chunked"
CL_TE: Final = END + HIDDEN
TE_CL: Final = chunk(HIDDEN) + END

ODD_ENCODINGS: Final = [
    b"Transfer-Encoding : chunked",
    b" Transfer-Encoding: chunked",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunkedx",
    b"Transfer-Encoding: 'chunked'",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding\r\n : chunked",
    b"Transfer-Encoding:\r\n chunked",
    b"X: y\r\n Transfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"Transfer-Encoding\x00: chunked",
    b"\x00Transfer-Encoding: chunked",
    b"TRANSFER-ENCODING: CHUNKED",
    b"Transfer-Encoding: chunked;q=1",
    b"Content-Encoding: gzip\r\nTransfer-Encoding: gzip, chunked",
]

AMBIGUOUS: Final[dict[str, bytes]] = {
    "CL.TE": post(length(CL_TE), CHUNKED, body=CL_TE),
    "TE.CL": post(CHUNKED, b"Content-Length: 4", body=TE_CL),
    "CL 0 and TE": post(b"Content-Length: 0", CHUNKED, body=HIDDEN),
    "two lengths, the first short": post(b"Content-Length: 0", length(HIDDEN), body=HIDDEN),
    "two lengths, the last short": post(length(HIDDEN), b"Content-Length: 0", body=HIDDEN),
    "a list of lengths": post(b"Content-Length: 0, %d" % len(HIDDEN), body=HIDDEN),
    "a signed length": post(b"Content-Length: +0", body=HIDDEN),
    "a negative length": post(b"Content-Length: -1", body=HIDDEN),
    "a hexadecimal length": post(b"Content-Length: 0x0", body=HIDDEN),
    "a length with a space": post(b"Content-Length: 0 %d" % len(HIDDEN), body=HIDDEN),
    "a length beyond 64 bits": post(b"Content-Length: 18446744073709551616", body=HIDDEN),
    "a length with a space before its colon": post(b"Content-Length : %d" % len(HIDDEN), body=HIDDEN),
    "a chunk beyond 64 bits": post(CHUNKED, body=b"10000000000000000\r\n" + HIDDEN + END),
    "a negative chunk": post(CHUNKED, body=b"-1\r\n" + HIDDEN),
    "a chunk in C's spelling": post(CHUNKED, body=b"0x0\r\n\r\n" + HIDDEN),
    "a chunk without a size": post(CHUNKED, body=b"\r\n\r\n" + HIDDEN),
    "a chunk with an extension of newlines": post(CHUNKED, body=b"1;a\nb\r\nx\r\n" + HIDDEN),
    "a chunk that ends late": post(CHUNKED, body=b"1\r\nxx\r\n0\r\n\r\n" + HIDDEN),
    "a last chunk of bare newlines": post(CHUNKED, body=b"0\n\n" + HIDDEN),
    "a length among the trailers": post(CHUNKED, body=b"0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN),
    "a line break in a header": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: \n\n" + HIDDEN + b"\r\n\r\n",
} | {f"odd: {header!r}": post(length(CL_TE), header, body=CL_TE) for header in ODD_ENCODINGS}
"""Read in two ways: refused, and nothing that follows on the connection is looked at."""

OUTSIDE: Final[dict[str, bytes]] = {
    "a body of GET": b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + length(HIDDEN) + b"\r\n\r\n" + HIDDEN,
    "a body of HEAD": b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n" + length(HIDDEN) + b"\r\n\r\n" + HIDDEN,
    "a line break in the path": b"GET /healthz%0d%0a%0d%0aGET%20/metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    "an upgrade that is none": b"GET /v1/dialogs/live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 12\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" + HIDDEN,
    "an upgrade to HTTP/2": b"GET /v1/dialogs/live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n" + HIDDEN,
    "a path of HTTP/0.9": b"GET /metrics\r\n\r\n",
    "another host in the line": b"GET http://127.0.0.1/metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    "an encoding with an underscore": post(length(CL_TE), b"Transfer_Encoding: chunked", body=CL_TE),
}
"""Read in one way, by a server: for the front to see through."""


@pytest.fixture
async def service() -> AsyncGenerator[Served]:
    async with serve(auth="keys") as served:
        yield served


def was_asked_for_metrics(service: Served) -> bool:
    samples = [sample for metric in service.service.metrics.requests.collect() for sample in metric.samples]
    return any(sample.labels["route"] == "/metrics" for sample in samples)


async def health_of(nginx: Front) -> bytes:
    """Return the answer of /healthz. An impatient front can hang up before a busy machine has sent the question."""
    for _ in range(20):
        if answer := await nginx.exchange(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):
            return answer
    return b""


def impatient(text: str) -> str:
    """Let the front wait for what never comes no longer than a test can."""
    return re.sub(r"(client_\w+_timeout|keepalive_timeout) +\d+s;", r"\1 100ms;", text)


def reusing(text: str) -> str:
    """Let the front serve one client after the other on the same connection to the server, as many are set up to."""
    text = re.sub(r"proxy_set_header +Connection +close;", 'proxy_set_header Connection "";', text)
    text, upstreams = re.subn(r"(upstream \w+ {\n(?:    .*\n)*)}", r"\1    keepalive 1;\n}", text)
    assert upstreams == 2
    return impatient(text)


async def test_the_count_would_show_what_came_through(service: Served) -> None:
    assert not was_asked_for_metrics(service)

    await exchange(service.url, HIDDEN)

    assert was_asked_for_metrics(service)


@pytest.mark.parametrize("change", [impatient, reusing], ids=["as documented", "reusing connections"])
async def test_nothing_is_smuggled_past_the_front(
    service: Served, tmp_path: Path, change: Callable[[str], str]
) -> None:
    async with front(tmp_path, [service.url], change) as nginx:
        for name, sent in (AMBIGUOUS | OUTSIDE).items():
            answer = await nginx.exchange(sent)
            assert b"consentful_dialogs_live" not in answer, name
            assert not was_asked_for_metrics(service), name
            assert (await health_of(nginx)).endswith(b'{"status":"ok"}'), name


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_what_could_be_read_in_two_ways_is_refused_and_ends_the_connection(service: Served, sent: bytes) -> None:
    answer = await exchange(service.url, sent, to_the_end=True)

    assert re.findall(rb"HTTP/1\.[01] (\d+)", answer) == [b"400"]
    assert not was_asked_for_metrics(service)
