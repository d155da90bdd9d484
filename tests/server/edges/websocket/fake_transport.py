"""What stands below a connection's frames, without a socket: it notes what is sent, and sends nothing."""

from consentful import wire
from consentful.wire import Error, FromServer


class FakeTransport:
    """Satisfies `transport.FrameTransport`. What is sent after a close frame is dropped, as it is below a real one."""

    def __init__(self, codec: wire.Codec = wire.CODECS[wire.JSON]) -> None:
        self._codec = codec
        self.sent: list[FromServer] = []
        self._unwritten: list[FromServer] = []
        self.pings = 0
        self.pongs: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.is_paused = False
        self.is_aborted = False
        self.unread = 0

    @property
    def kinds(self) -> list[str]:
        return [type(frame).__name__ for frame in self.sent]

    @property
    def codes(self) -> list[str]:
        """The codes of all errors that were sent."""
        return [frame.code for frame in self.sent if isinstance(frame, Error)]

    def send(self, payload: bytes, *, more: bool = False) -> None:
        if self.closed is None:
            frame = self._codec.decode_server(payload)
            assert frame is not None
            self._unwritten.append(frame)
            if not more:
                self._write()

    def send_ping(self) -> None:
        self.pings += 1

    def send_pong(self, payload: bytes) -> None:
        self.pongs.append(payload)

    def send_close(self, code: int, reason: str) -> None:
        assert self.closed is None, "a second close frame (RFC 6455 §5.5.1)"
        self.closed = code, reason
        self._write()

    def _write(self) -> None:
        self.sent += self._unwritten
        self._unwritten.clear()

    def pause_frames(self) -> None:
        self.is_paused = True

    def resume_frames(self) -> None:
        self.is_paused = False

    def abort(self) -> None:
        self.is_aborted = True


class FakeSource:
    """Satisfies `charging.Source`: the bytes that a client has sent."""

    def __init__(self) -> None:
        self.received = 0
        self.alarm_at = 0
        self.has_stopped_reading = False

    def stop_reading(self) -> None:
        self.has_stopped_reading = True
