"""A client cannot tell which way its upgrade took: the short one, or aiohttp's, which any with a query takes."""

import asyncio
import re
from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentful import wire
from consentful_server.edges.websocket.shortcut import Shortcut
from consentful_server.testing import Served, serve
from live import Live
from raw import CLOSE, UPGRADE, exchange, masked, upgrade

SHORT, AIOHTTPS = "/v1/dialogs/live", "/v1/dialogs/live?"

VARIES = re.compile(rb"\r\n(?:Date|Request-Id|Server): [^\r]*|\"(?:dialog_id|instance|request|request_id)\":\"[^\"]*\"")
"""What differs between any two answers."""

BODIES = {("Content-Length", "5"): b"12345", ("Transfer-Encoding", "chunked"): b"0\r\n\r\n"}

Headers = list[tuple[str, str]]


class Asking:
    """Sends handshakes to one server, from tests that are not async: hypothesis runs many in one."""

    def __init__(self, runner: asyncio.Runner, served: Served, tokens: dict[str, str]) -> None:
        self._runner = runner
        self._served = served
        self.tokens = tokens

    def __call__(self, path: str, headers: Headers, frames: list[bytes]) -> bytes:
        """Return all that the server answers, but for what always varies."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode()
        sent = head.replace(b"{port}", self._served.url.rpartition(":")[2].encode())
        for name, token in self.tokens.items():
            sent = sent.replace(b"{%s}" % name.encode(), token.encode())
        body = b"".join(BODIES.get(header, b"") for header in headers)
        answer = self._runner.run(exchange(self._served.url, sent + body + b"".join(frames) + CLOSE))
        return VARIES.sub(b"", answer)


def asking(auth: str) -> Generator[Asking]:
    with asyncio.Runner() as runner:
        serving = serve(auth=auth, opens_per_second=1_000_000, allow_origin=("https://chat.example",), grace=0)
        served = runner.run(serving.__aenter__())
        tokens = {"writer": "cfl_0123456789ab_x", "reader": "cfl_0123456789ab_y"}
        if auth == "keys":
            tokens = {
                "writer": runner.run(served.create_key("dialogs:write")),
                "reader": runner.run(served.create_key("data:read")),
            }
        yield Asking(runner, served, tokens)
        runner.run(serving.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def open_to_all() -> Generator[Asking]:
    yield from asking("none")


@pytest.fixture(scope="module")
def with_keys() -> Generator[Asking]:
    yield from asking("keys")


def one_of(name: str, *values: str | None) -> st.SearchStrategy[Headers]:
    """The header with one of the values, None for no such header; usually the first."""
    usual, *others = [[] if value is None else [(name, value)] for value in values]
    return st.integers(0, 7).flatmap(lambda it: st.just(usual) if it else st.sampled_from(others))


KEY = UPGRADE["Sec-WebSocket-Key"]
OFFERS = (wire.JSON, wire.MSGPACK, "chat", "consentful.v2.json", "bearer.{writer}", "bearer.{reader}", "bearer.x")
HEADS = st.tuples(
    one_of("Host", "127.0.0.1:{port}", None, "evil.example", "localhost", "127.0.0.1:1", "", "[::1]"),
    one_of("Connection", "Upgrade", "keep-alive, Upgrade", "close", None, "upgrade"),
    one_of("Upgrade", "websocket", "WebSocket", "h2c", "websocket, h2c", None),
    one_of("Sec-WebSocket-Version", "13", "8", "12", "", None),
    one_of("Sec-WebSocket-Key", KEY, "short", KEY + "=", None, "\xff" * 24),
    one_of("Authorization", "Bearer {writer}", "bearer  {writer} ", "Bearer {reader}", "Bearer x", "Basic eDp5", None),
    one_of("Origin", None, "http://127.0.0.1:{port}", "https://chat.example", "https://evil.example", "null"),
    one_of("Sec-WebSocket-Extensions", None, "permessage-deflate", "permessage-deflate; client_max_window_bits", "x"),
    one_of("Content-Length", None, "0", "5", "x"),
    one_of("Transfer-Encoding", None, "chunked", "identity"),
    one_of("Expect", None, "100-continue", "coffee"),
    one_of("Sec-Fetch-Site", None, "same-origin", "cross-site"),
    one_of("X-Forwarded-For", None, "192.0.2.7"),
    one_of("X", None, "a" * 9_000, "b\x01", "c\x7f"),
    st.lists(st.sampled_from(OFFERS), max_size=3).map(
        lambda offers: [("Sec-WebSocket-Protocol", ", ".join(offers))] if offers else []
    ),
).map(lambda fields: [field for some in fields for field in some])

OPEN = wire.CODECS[wire.JSON].encode(wire.Open("c-1"))
SAID = [wire.CODECS[wire.JSON].encode(wire.Message(seq, "Hello")) for seq in (1, 2)]
NO = wire.CODECS[wire.JSON].encode(wire.Consent(granted=False, last_seq=2))
FRAMES = st.just([masked(0x81, frame) for frame in (OPEN, *SAID, NO)]) | st.lists(
    st.sampled_from([masked(0x81, frame) for frame in (OPEN, *SAID, NO, b"{", b"\xff", b"[]")])
    | st.sampled_from([masked(0x82, b"\x80"), masked(0x89, b"?"), masked(0x8A, b""), masked(0xC1, b"x"), b"\xf1\x80"]),
    max_size=6,
)


@settings(max_examples=300)
@given(headers=HEADS, frames=FRAMES)
def test_both_ways_answer_the_same_without_authentication(
    open_to_all: Asking, headers: Headers, frames: list[bytes]
) -> None:
    assert open_to_all(SHORT, headers, frames) == open_to_all(AIOHTTPS, headers, frames)


@settings(max_examples=300)
@given(headers=HEADS, frames=FRAMES)
def test_both_ways_answer_the_same_with_keys(with_keys: Asking, headers: Headers, frames: list[bytes]) -> None:
    assert with_keys(SHORT, headers, frames) == with_keys(AIOHTTPS, headers, frames)


class Taken(list[Any]):
    """What became of each connection that came to the short way."""

    def __init__(self) -> None:
        super().__init__()
        self.has_some = asyncio.Event()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Taken:
    """Asked for before the service: a running one has the short way already."""
    decisions = Taken()
    take = Shortcut.take

    def noting(self: Shortcut, data: bytes, transport: asyncio.Transport) -> Any:
        decisions.append(take(self, data, transport))
        decisions.has_some.set()
        return decisions[-1]

    monkeypatch.setattr(Shortcut, "take", noting)
    return decisions


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-WebSocket-Protocol": wire.MSGPACK},
        {"Sec-WebSocket-Extensions": "permessage-deflate"},
        {"Origin": "https://chat.example"},
        {"X-Forwarded-For": "192.0.2.7"},
    ],
    ids=["plain", "MessagePack", "compressed", "from a page", "by a proxy"],
)
@pytest.mark.parametrize("settings", [{"allow_origin": ("https://chat.example",), "trusted_proxy": ("127.0.0.1",)}])
async def test_a_plain_upgrade_takes_the_short_way(taken: Taken, service: Served, headers: dict[str, str]) -> None:
    answer = await exchange(service.url, upgrade(service.url, **headers) + CLOSE)

    assert answer.startswith(b"HTTP/1.1 101 ")
    assert taken == [True]


@pytest.mark.parametrize("settings", [{"auth": "keys"}])
@pytest.mark.parametrize("how", ["token", "subprotocol"])
async def test_a_key_takes_the_short_way_once_it_was_looked_up(
    taken: Taken, dial: Callable[..., Any], service: Served, how: str
) -> None:
    key = await service.create_key("dialogs:write")
    options = {"token": key} if how == "token" else {"protocols": [wire.BEARER + key, wire.JSON]}

    for _ in range(3):
        await (await dial(**options)).open()

    assert taken == [False, True, True]


@pytest.mark.parametrize("path", [SHORT, AIOHTTPS])
@pytest.mark.parametrize("settings", [{"opens_per_second": 0.3}], ids=["three at once"])
async def test_an_upgrade_is_charged_once_whichever_way_it_takes(service: Served, path: str) -> None:
    head = upgrade(service.url).replace(SHORT.encode(), path.encode())

    answers = [await exchange(service.url, head + CLOSE) for _ in range(5)]

    assert [answer.split(b" ", 2)[1] for answer in answers] == [b"101"] * 3 + [b"429"] * 2


@pytest.mark.parametrize("settings", [{"dialogs_per_client": 1}])
async def test_what_the_short_way_refuses_is_told_in_http_and_decided_once(
    taken: Taken, live: Live, service: Served
) -> None:
    await live.open()

    answer = await exchange(service.url, upgrade(service.url))

    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b'"code":"too_often"' in answer
    assert [type(it).__name__ for it in taken] == ["bool", "TooOften"]


async def test_a_head_that_comes_in_pieces_takes_aiohttps_way(taken: Taken, service: Served) -> None:
    head = upgrade(service.url)
    where = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(head[:30])
    async with asyncio.timeout(5):
        await taken.has_some.wait()

    writer.write(head[30:] + CLOSE)

    assert (await reader.read()).startswith(b"HTTP/1.1 101 ")
    assert taken == [False]
    writer.close()
