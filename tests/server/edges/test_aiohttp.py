"""The parts of aiohttp that are not its public API, and on which the server and the live edge stand: by name.

When a release changes one, this says which; without it, a time-out would no longer end, or a bound no longer hold.
"""

import inspect
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp._websocket.writer import WebSocketWriter
from aiohttp.web_protocol import RequestHandler

USED: list[tuple[type, str]] = [
    *((RequestHandler, name) for name in ("_drain_helper", "_pause_transport_reading", "_resume_transport_reading")),
    *((RequestHandler, name) for name in ("_loop", "_message_tail", "_payload_parser", "_request_count", "_upgraded")),
    *((RequestHandler, name) for name in ("_waiter", "connection_lost", "connection_made", "data_received")),
    *((RequestHandler, name) for name in ("finish_response", "force_close", "handle_error", "shutdown", "start")),
    *((RequestHandler, name) for name in ("pause_writing", "resume_writing", "writing_paused")),
    *((web.WebSocketResponse, name) for name in ("_set_closed", "_writer", "close", "receive")),
    *((WebSocketWriter, name) for name in ("_send_compressed_frame_sync", "_write_websocket_frame")),
    *((web.Server, name) for name in ("__call__", "pre_shutdown")),
    (web.AppRunner, "_make_server"),
]

SIGNATURES: list[tuple[Any, list[str]]] = [
    (RequestHandler.handle_error, ["self", "request", "status", "exc", "message"]),
    (RequestHandler.finish_response, ["self", "request", "resp", "start_time"]),
    (RequestHandler.shutdown, ["self", "timeout"]),
    (web.WebSocketResponse.close, ["self", "code", "message", "drain"]),
    (WebSocketWriter._write_websocket_frame, ["self", "message", "opcode", "rsv"]),  # pyright: ignore[reportPrivateUsage]
    (WebSocketWriter._send_compressed_frame_sync, ["self", "message", "opcode", "compress"]),  # pyright: ignore[reportPrivateUsage]
]


@pytest.mark.parametrize(("owner", "name"), USED, ids=[f"{owner.__name__}.{name}" for owner, name in USED])
def test_it_is_there(owner: type, name: str) -> None:
    assert hasattr(owner, name)


@pytest.mark.parametrize(("method", "parameters"), SIGNATURES, ids=lambda it: getattr(it, "__qualname__", ""))
def test_it_is_called_as_before(method: Any, parameters: list[str]) -> None:
    assert list(inspect.signature(method).parameters) == parameters


async def test_a_server_knows_its_connections() -> None:
    async def handler(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    assert {"_connections", "_kwargs", "_loop"} <= vars(web.Server(handler)).keys()


async def test_a_frame_writer_knows_its_transport() -> None:
    writer = WebSocketWriter(cast("Any", None), cast("Any", "the transport"))

    assert (writer.transport, writer.compress) == ("the transport", 0)
