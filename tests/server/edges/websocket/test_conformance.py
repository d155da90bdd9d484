"""RFC 6455 and 7692, case by case: the Autobahn suite against our socket, which echoes here.

What a dialog answers is its own business. What is asked here is the layer below it: frames, fragments, pings, closing,
UTF-8, compression.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import kosoku
import pytest
from aiohttp import WSMsgType, web

from consentful_server.edges.http.faults import CLOSED_BAD_TEXT
from consentful_server.edges.server.protocol import RequestProtocol
from consentful_server.edges.server.runner import Runner
from consentful_server.edges.websocket import handshake
from consentful_server.edges.websocket.socket import Socket
from consentful_server.edges.websocket.sockets import SOCKETS, Sockets
from consentful_server.edges.websocket.transport import Frame
from consentful_server.telemetry.metrics import Metrics

pytestmark = pytest.mark.filterwarnings("ignore:.*autobahntestsuite:pytest.PytestUnraisableExceptionWarning")
"""The suite leaves its own files to the garbage collector."""

UPSTREAM: Final = {
    "7.9.5",  # a close frame with 1006, which only an absent one may stand for: aio-libs/aiohttp#13536, fixed since
}
OF_COMPRESSION: Final = re.compile(r"1[23]\.")
LARGEST: Final = 16 * 1024 * 1024
"""What the suite sends at most; a dialog's frames are smaller."""


COMPRESS: Final = web.AppKey("compress", bool)


class EitherKind(Socket):
    """Sends messages of both kinds; a dialog's are all of one."""

    def send_as(self, opcode: WSMsgType, payload: bytes) -> None:
        self._first_byte = 0x80 | opcode
        self.send(payload)


class Echo:
    """Sends every message back, and closes where a text is not UTF-8, as a dialog does."""

    def __init__(self, socket: EitherKind) -> None:
        self._socket = socket

    def receive(self, frames: Sequence[Frame]) -> int:
        opcode, payload, _ = frames[0]
        if opcode is WSMsgType.PING:
            self._socket.send_pong(payload)
        elif opcode is WSMsgType.TEXT and not is_utf8(payload):
            self._socket.send_close(CLOSED_BAD_TEXT, "")
        elif opcode in (WSMsgType.TEXT, WSMsgType.BINARY):
            self._socket.send_as(opcode, payload)
        return 1

    def charge(self, frames: int = 0) -> None: ...

    def lost(self, frames: int) -> None: ...


async def echo(request: web.Request) -> web.StreamResponse:
    head, deflate = handshake.accept(request.headers, None, compress=request.app[COMPRESS], request_id="r-1")
    socket = EitherKind(request.app[SOCKETS], is_binary=False, deflate=deflate, max_message_bytes=LARGEST + 1)
    socket.receiver = Echo(socket)
    protocol = request.protocol
    assert isinstance(protocol, RequestProtocol)
    assert protocol.transport is not None
    protocol.transport.write(head)
    socket.data_received(protocol.hand_over(socket))
    return web.Response(status=101)


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@asynccontextmanager
async def echoing(*, compress: bool) -> AsyncGenerator[str]:
    app = web.Application()
    app[COMPRESS] = compress
    app[SOCKETS] = Sockets()
    app.router.add_get("/", echo)
    runner = Runner(app, lambda _data, _transport: False, Metrics(), shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def conforms(*cases: str, compress: bool) -> None:
    """See that every case passes, but those that aiohttp is known to fail, and compression where it is not offered."""
    async with echoing(compress=compress) as address:
        try:
            results = await kosoku.run_fuzzingclient(address, cases or None, concurrency=4)
        except kosoku.FailureError as failure:
            results = failure.results
    assert len(results) > 30
    assert {
        result.case_id: f"{result.behavior.value}, {result.behavior_close.value}"
        for result in results
        if not (result.passed or result.case_id in UPSTREAM or (not compress and OF_COMPRESSION.match(result.case_id)))
    } == {}


async def test_every_case_of_the_protocol() -> None:
    await conforms(compress=False)


def compressing(sizes: range) -> list[str]:
    """Return the cases of compression, of every kind and of these sizes: 1,000 messages of 16 bytes (1) and more."""
    return [
        f"{group}.{kind}.{size}"
        for group, kinds in ((12, 5), (13, 7))
        for kind in range(1, kinds + 1)
        for size in sizes
    ]


async def test_compression() -> None:
    await conforms("1.*", "2.*", "3.*", "4.*", "7.*", *compressing(range(1, 2)), compress=True)


@pytest.mark.prove
async def test_compression_of_larger_messages() -> None:
    """Up to 16 KiB: what is larger takes minutes, and no other path."""
    await conforms("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", *compressing(range(1, 8)), compress=True)
