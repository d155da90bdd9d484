"""The WebSocket below a dialog's frames: when they are handed over, when they are held back, and how it ends."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest
from aiohttp import WSMsgType

from consentful_server.edges.websocket.charging import CHARGED_FRAMES
from consentful_server.edges.websocket.deflate import Deflate
from consentful_server.edges.websocket.socket import TURN_FRAMES, Socket
from consentful_server.edges.websocket.sockets import Sockets
from consentful_server.edges.websocket.transport import Frame
from consentful_server.testing import Served
from kept import eventually
from raw import masked, upgrade

from .test_closing import turns

TEXT = 0x81
CLOSE = 0x88
PING = 0x89
LARGEST = 1000


class FakeWire(asyncio.Transport):
    """What an event loop's transport is to a protocol: it notes what is written, and whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.unread = 0
        self.is_read = True
        self.is_closed = False
        self.is_aborted = False

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.unread

    def pause_reading(self) -> None:
        assert self.is_read, "reading is paused already"
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True


class Listener:
    """A receiver that notes what it is handed."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.kinds: list[WSMsgType] = []
        self.charged: list[int] = []
        self.lost_after: list[int] = []
        self.then: Callable[[bytes], None] = lambda _: None
        """Called with each payload, while its frame is being taken up."""

    def receive(self, frames: Sequence[Frame]) -> int:
        opcode, payload, _ = frames[0]
        self.kinds.append(opcode)
        self.then(payload)
        self.taken.append(payload)
        return 1

    def charge(self, frames: int = 0) -> None:
        self.charged.append(frames)

    def lost(self, frames: int) -> None:
        self.lost_after.append(frames)


@pytest.fixture
def sockets() -> Sockets:
    return Sockets()


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def socket(sockets: Sockets, wire: FakeWire, listener: Listener) -> Socket:
    socket = Socket(sockets, is_binary=False, deflate=None, max_message_bytes=LARGEST)
    socket.receiver = listener
    socket.alarm_at = 1_000_000
    socket.connection_made(wire)
    return socket


def texts(*payloads: bytes) -> bytes:
    return b"".join(masked(TEXT, payload) for payload in payloads)


class TestHandingOver:
    async def test_each_frame_of_a_read_is_handed_over_at_once_and_in_order(
        self, socket: Socket, listener: Listener
    ) -> None:
        socket.data_received(texts(b"one", b"two") + masked(PING, b"?") + texts(b"three"))

        assert listener.taken == [b"one", b"two", b"?", b"three"]
        assert listener.kinds == [WSMsgType.TEXT, WSMsgType.TEXT, WSMsgType.PING, WSMsgType.TEXT]

    async def test_a_frame_that_comes_byte_by_byte_is_handed_over_with_its_last(
        self, socket: Socket, listener: Listener
    ) -> None:
        *first, last = texts(b"one")
        for byte in first:
            socket.data_received(bytes([byte]))
        assert listener.taken == []

        socket.data_received(bytes([last]))

        assert listener.taken == [b"one"]
        assert socket.received == len(texts(b"one"))

    async def test_the_alarm_rings_after_a_read_that_exceeds_it(self, socket: Socket, listener: Listener) -> None:
        socket.alarm_at = len(texts(b"one"))
        socket.data_received(texts(b"one"))
        assert listener.charged == []

        socket.data_received(texts(b"two"))

        assert listener.charged == [0]


class TestHoldingBack:
    async def test_what_is_not_taken_up_yet_waits_and_nothing_more_is_read(
        self, socket: Socket, wire: FakeWire, listener: Listener
    ) -> None:
        listener.then = lambda payload: socket.pause_frames() if payload == b"grant" else None

        socket.data_received(texts(b"grant"))
        assert wire.is_read  # or the end of the connection would not be seen
        socket.data_received(texts(b"two", b"three"))
        assert not wire.is_read
        socket.data_received(texts(b"read before the pause"))
        assert listener.taken == [b"grant"]
        socket.resume_frames()
        await turns()

        assert listener.taken == [b"grant", b"two", b"three", b"read before the pause"]
        assert wire.is_read

    async def test_a_frame_that_lets_others_in_is_done_before_they_are(
        self, socket: Socket, listener: Listener
    ) -> None:
        socket.pause_frames()
        socket.data_received(texts(b"one", b"two"))
        listener.then = lambda _: socket.resume_frames()

        socket.resume_frames()
        await turns()

        assert listener.taken == [b"one", b"two"]

    async def test_a_frame_among_those_held_back_may_stop_the_rest(
        self, socket: Socket, wire: FakeWire, listener: Listener
    ) -> None:
        socket.pause_frames()
        socket.data_received(texts(b"one", b"two"))
        listener.then = lambda payload: socket.pause_frames() if payload == b"one" else None

        socket.resume_frames()
        await turns()
        assert listener.taken == [b"one"]
        assert not wire.is_read
        socket.resume_frames()
        await turns()

        assert listener.taken == [b"one", b"two"]

    async def test_while_the_client_does_not_read_nothing_is_taken_up(self, socket: Socket, listener: Listener) -> None:
        socket.pause_writing()
        socket.data_received(texts(b"one"))
        socket.resume_frames()
        await turns()
        assert listener.taken == []

        socket.resume_writing()
        await turns()

        assert listener.taken == [b"one"]

    async def test_after_its_turn_it_is_the_turn_of_others(
        self, socket: Socket, wire: FakeWire, listener: Listener
    ) -> None:
        """However much one read brings; it is thousands of frames if they are small."""
        payloads = [str(number).encode() for number in range(40 * TURN_FRAMES)]

        socket.data_received(texts(*payloads))
        assert listener.taken == payloads[:TURN_FRAMES]
        assert not wire.is_read
        for _ in range(100):
            before = len(listener.taken)
            await asyncio.sleep(0)
            assert len(listener.taken) - before <= TURN_FRAMES

        assert listener.taken == payloads
        assert wire.is_read

    async def test_answers_shorten_its_turn(self, socket: Socket, listener: Listener) -> None:
        listener.then = lambda _: socket.send(b"no")

        socket.data_received(TURN_FRAMES * texts(b"x"))

        assert 0 < len(listener.taken) <= TURN_FRAMES // 3

    async def test_what_is_no_frame_for_anybody_ends_its_turn_as_well(
        self, socket: Socket, wire: FakeWire, listener: Listener
    ) -> None:
        """Empty fragments are cut, but never handed over."""
        socket.data_received(masked(0x01, b"o") + 10_000 * masked(0x00, b"") + masked(0x80, b"ne"))
        assert not wire.is_read
        assert listener.taken == []
        await turns()
        await turns()

        assert listener.taken == [b"one"]
        assert wire.is_read

    async def test_what_comes_while_it_waits_for_its_turn_comes_after_it(
        self, socket: Socket, listener: Listener
    ) -> None:
        payloads = [str(number).encode() for number in range(40 * TURN_FRAMES)]

        socket.data_received(texts(*payloads[: 20 * TURN_FRAMES]))
        await asyncio.sleep(0)
        socket.data_received(texts(*payloads[20 * TURN_FRAMES :]))
        for _ in range(100):
            await asyncio.sleep(0)

        assert listener.taken == payloads

    async def test_each_frame_is_charged_once(self, socket: Socket, listener: Listener) -> None:
        """After 256, give or take a turn, and the rest at the end."""
        count = 10 * CHARGED_FRAMES + 7

        socket.data_received(count * texts(b"x"))
        for _ in range(200):
            await asyncio.sleep(0)
        socket.connection_lost(None)

        assert all(CHARGED_FRAMES <= charged < CHARGED_FRAMES + TURN_FRAMES for charged in listener.charged)
        assert sum(listener.charged) + sum(listener.lost_after) == count

    async def test_of_a_client_that_is_cut_off_nothing_that_was_held_back_is_taken_up(
        self, socket: Socket, wire: FakeWire, listener: Listener
    ) -> None:
        socket.pause_frames()
        socket.data_received(texts(b"one"))
        wire.is_read = True  # what the fake would complain about: a transport does not

        socket.stop_reading()
        socket.resume_frames()
        socket.data_received(texts(b"two"))
        await turns()

        assert listener.taken == []
        assert not wire.is_read


class TestSending:
    @pytest.mark.parametrize(
        ("size", "head"),
        [
            (0, b"\x81\x00"),
            (125, b"\x81\x7d"),
            (126, b"\x81\x7e\x00\x7e"),
            (0xFFFF, b"\x81\x7e\xff\xff"),
            (0x10000, b"\x81\x7f" + (0x10000).to_bytes(8, "big")),
        ],
    )
    async def test_a_frame_says_its_length(self, socket: Socket, wire: FakeWire, size: int, head: bytes) -> None:
        socket.send(b"x" * size)

        assert wire.written == head + b"x" * size

    async def test_after_the_close_frame_nothing_is_sent(self, socket: Socket, wire: FakeWire) -> None:
        socket.send_close(4508, "idle")
        sent = wire.written
        assert sent == b"\x88\x06" + (4508).to_bytes(2, "big") + b"idle"

        socket.send(b"x")
        socket.send_pong(b"x")
        socket.send_ping()
        socket.send_close(1000, "")

        assert wire.written == sent

    async def test_once_the_connection_is_lost_nothing_is_sent(self, socket: Socket, wire: FakeWire) -> None:
        socket.connection_lost(None)

        socket.send(b"x")
        socket.abort()

        assert wire.written == b""
        assert socket.unread == 0
        assert not wire.is_aborted

    async def test_data_frames_alone_are_compressed(self, sockets: Sockets, wire: FakeWire) -> None:
        socket = Socket(sockets, is_binary=True, deflate=Deflate(15, keeps_window=True), max_message_bytes=LARGEST)
        socket.connection_made(wire)

        socket.send(b"x" * 100)
        socket.send_pong(b"?")

        assert wire.written[0] == 0xC2
        assert wire.written.endswith(b"\x8a\x01?")
        assert len(wire.written) < 20
        socket.connection_lost(None)


class TestEnding:
    async def test_a_client_that_closes_is_answered_and_heard_no_more(
        self, socket: Socket, wire: FakeWire, listener: Listener
    ) -> None:
        socket.data_received(texts(b"one") + masked(CLOSE, (1001).to_bytes(2, "big")) + texts(b"two"))
        socket.data_received(texts(b"three"))

        assert listener.taken == [b"one"]
        assert listener.lost_after == [1]
        assert wire.written == b"\x88\x02" + (1000).to_bytes(2, "big")
        assert wire.is_closed
        socket.connection_lost(None)

    async def test_a_client_that_answers_a_close_is_sent_no_second_one(self, socket: Socket, wire: FakeWire) -> None:
        socket.send_close(4508, "idle")
        sent = wire.written

        socket.data_received(masked(CLOSE, (4508).to_bytes(2, "big")))

        assert wire.written == sent
        assert wire.is_closed
        socket.connection_lost(None)

    @pytest.mark.parametrize(
        ("bytes_", "code"),
        [
            (b"\xf1\x80\x00\x00\x00\x00", 1002),  # bits that nobody agreed on
            (masked(TEXT, b"x" * (LARGEST + 1)), 1009),
            (masked(CLOSE, (999).to_bytes(2, "big")), 1002),
        ],
    )
    async def test_who_breaks_the_protocol_is_told_how(
        self, socket: Socket, wire: FakeWire, listener: Listener, bytes_: bytes, code: int
    ) -> None:
        socket.data_received(texts(b"one") + bytes_)

        assert wire.written == b"\x88\x02" + code.to_bytes(2, "big")
        assert listener.lost_after == [1]
        assert wire.is_closed
        socket.connection_lost(None)

    async def test_the_receiver_hears_of_the_end_once(self, socket: Socket, listener: Listener) -> None:
        socket.data_received(masked(CLOSE, b""))
        socket.connection_lost(ConnectionResetError())

        assert listener.lost_after == [0]

    async def test_the_outcome_and_the_close_frame_are_one_write(self, socket: Socket, wire: FakeWire) -> None:
        socket.send(b"stored", more=True)
        assert wire.written == b""

        socket.send_close(4000, "stored")

        assert wire.writes == [b"\x81\x06stored" + b"\x88\x08\x0f\xa0stored"]

    async def test_a_client_that_closes_and_never_reads_is_dropped(
        self, socket: Socket, wire: FakeWire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("consentful_server.edges.websocket.socket.CLOSE_WITHIN_S", 0)
        wire.unread = 4

        socket.data_received(masked(CLOSE, b""))
        assert not wire.is_aborted

        await eventually(lambda: wire.is_aborted)
        socket.connection_lost(None)

    async def test_once_lost_it_is_freed_without_the_cycle_collector(
        self, sockets: Sockets, without_collector: None
    ) -> None:
        socket = Socket(sockets, is_binary=False, deflate=None, max_message_bytes=LARGEST)
        socket.receiver = Listener()
        socket.connection_made(FakeWire())
        socket.data_received(texts(b"one"))
        reference = weakref.ref(socket._reader)  # pyright: ignore[reportPrivateUsage]

        socket.connection_lost(None)

        assert reference() is None
        assert len(sockets) == 0


@pytest.fixture
def without_collector() -> Generator[None]:
    gc.disable()
    yield
    gc.enable()


class TestSockets:
    async def test_closing_drops_all_and_waits_until_they_are_lost(self, sockets: Sockets) -> None:
        wires = [FakeWire(), FakeWire()]
        opened = [Socket(sockets, is_binary=False, deflate=None, max_message_bytes=LARGEST) for _ in wires]
        for socket, wire in zip(opened, wires, strict=True):
            socket.connection_made(wire)
        assert len(sockets) == 2

        closing = asyncio.ensure_future(sockets.close())
        await turns()
        assert all(wire.is_aborted for wire in wires)
        opened[0].connection_lost(None)
        await turns()
        assert not closing.done()
        opened[1].connection_lost(None)

        await closing
        assert len(sockets) == 0

    async def test_without_any_it_is_done(self, sockets: Sockets) -> None:
        await sockets.close()


class TestTakingOver:
    """The connection changes hands in the middle of what the client sends."""

    @pytest.mark.parametrize("size", [10, 40_000, 300_000])
    async def test_what_was_sent_behind_the_request_is_taken_up(
        self, service: Served, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        asked, decided = asyncio.Event(), asyncio.Event()
        authenticate = service.service.access.authenticate

        async def slowly(token: str | None) -> Any:
            asked.set()
            await decided.wait()
            return await authenticate(token)

        def not_known(token: str | None) -> None:
            assert token is None

        monkeypatch.setattr(service.service.access, "authenticate", slowly)
        monkeypatch.setattr(service.service.access, "recall", not_known)
        host, port = service.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        messages = [
            masked(TEXT, b'{"type":"message","seq":%d,"text":"%s"}' % (seq, b"x" * min(size, 20_000)))
            for seq in range(1, 1 + max(1, size // 20_000))
        ]
        writer.write(upgrade(service.url) + masked(TEXT, b'{"type":"open","customer_id":"c-1"}') + b"".join(messages))
        await asked.wait()
        decided.set()
        writer.write(masked(TEXT, b'{"type":"consent","granted":true,"last_seq":%d}' % len(messages)))

        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        await reader.readuntil(b'"type":"stored"')
        writer.close()
        await writer.wait_closed()

    async def test_aiohttp_forgets_the_connection(self, service: Served) -> None:
        host, port = service.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = upgrade(service.url).replace(b"/live ", b"/live? ")  # not the short way
        writer.write(head + masked(TEXT, b'{"type":"open","customer_id":"c-1"}'))
        await reader.readuntil(b'"type":"opened"')

        names = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]

        assert "RequestHandler.start" not in names
        assert "RequestProtocol.start" not in names
        writer.close()
        await writer.wait_closed()
