"""What is used of aiohttp's inside, by name: a release that changes one of these fails here, and says which."""

import asyncio
import inspect
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http import HttpProcessingError, HttpRequestParser, WebSocketError, WebSocketReader
from aiohttp.http_writer import StreamWriter
from aiohttp.web_protocol import RequestHandler

from raw import masked

ROOT = Path(__file__).parent.parent.parent.parent
EDGES = ROOT / "server" / "consentful_server" / "edges"

CLASSES: dict[type[Any], tuple[str, ...]] = {
    RequestHandler: (
        "_loop",
        "_manager",
        "_message_tail",
        "_pause_transport_reading",
        "_request_count",
        "_resume_transport_reading",
        "_upgraded",
        "_waiter",
        "connection_lost",
        "connection_made",
        "data_received",
        "finish_response",
        "force_close",
        "handle_error",
        "pause_writing",
        "resume_writing",
        "shutdown",
        "start",
    ),
    WebSocketDataQueue: ("feed_data", "set_exception"),
    WebSocketReader: ("feed_data",),
    web.AppRunner: ("_make_server",),
    web.Server: ("__call__", "pre_shutdown", "shutdown"),
    web.BaseSite: ("_backlog", "_runner", "_server", "_ssl_context"),
    StreamWriter: ("chunked",),
    web.StreamResponse: ("_payload_writer",),
}
PARAMETERS: dict[Any, list[str]] = {
    RequestHandler.handle_error: ["self", "request", "status", "exc", "message"],
    RequestHandler.finish_response: ["self", "request", "resp", "start_time"],
    RequestHandler.shutdown: ["self", "timeout"],
    web.Server.shutdown: ["self", "timeout"],
}
INSTANCES = {web.Server: ("_connections", "_kwargs", "_loop")}


@pytest.mark.parametrize(("owner", "name"), [(owner, name) for owner, names in CLASSES.items() for name in names])
def test_a_class_of_aiohttp_still_has(owner: type[Any], name: str) -> None:
    assert hasattr(owner, name)


@pytest.mark.parametrize(("method", "parameters"), PARAMETERS.items(), ids=lambda it: getattr(it, "__qualname__", ""))
def test_a_method_of_aiohttp_is_still_called_as_before(method: Any, parameters: list[str]) -> None:
    assert list(inspect.signature(method).parameters) == parameters


async def test_the_reader_of_frames_still_hands_each_to_its_queue() -> None:
    """In C it takes no other queue than aiohttp's own, or one that is derived from it and sets nothing of it up."""
    taken: list[Any] = []

    class Queue(WebSocketDataQueue):
        def __init__(self) -> None:
            pass

        def feed_data(self, data: Any, size: int) -> None:
            taken.append(tuple(data)[:2])

        def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
            taken.append(type(exc))

    reader = WebSocketReader(Queue(), 1000, compress=False, decode_text=False)
    reader.feed_data(masked(0x81, b"one") + masked(0x89, b"?") + masked(0x88, b"") + b"\xf1\x80")

    kinds = WSMsgType.TEXT, WSMsgType.PING, WSMsgType.CLOSE
    assert taken == [*zip(kinds, (b"one", b"?", 0), strict=True), WebSocketError]


async def test_the_parser_of_heads_still_reads_one_by_itself() -> None:
    """Without a protocol, because no body follows, and without a server."""
    nobody: Any = None

    def read(data: bytes) -> Any:
        return HttpRequestParser(nobody, asyncio.get_running_loop(), 32 * 1024, max_headers=64).feed_data(data)

    messages, is_upgrade, rest = read(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")

    assert is_upgrade
    assert rest == b""
    assert messages[0][0].headers["host"] == "a"
    with pytest.raises(HttpProcessingError):
        read(b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n")


@pytest.mark.parametrize("name", INSTANCES[web.Server])
async def test_a_server_of_aiohttp_still_has(name: str) -> None:
    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    assert hasattr(web.Server(handler), name)


def test_a_server_of_aiohttp_still_takes_another_class() -> None:
    class Other(web.Server):
        pass

    server: Any = object.__new__(web.Server)
    server.__class__ = Other

    assert isinstance(server, Other)


def test_the_server_extra_keeps_to_one_minor_version_of_aiohttp() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    (pinned,) = [dependency for dependency in extras["server"] if re.match(r"aiohttp\b", dependency)]
    major, minor, *_ = version("aiohttp").split(".")

    assert re.fullmatch(rf"aiohttp>={major}\.{minor}(\.\d+)?,<{major}\.{int(minor) + 1}", pinned)


def test_nothing_else_touches_the_inside() -> None:
    """A `pyright: ignore[reportPrivateUsage]` elsewhere in the edges would be such a place."""
    elsewhere = [path for folder in ("http", "routes") for path in (EDGES / folder).glob("*.py")]

    assert [path.name for path in elsewhere if "reportPrivateUsage" in path.read_text("utf-8")] == []
