"""The web server under the application: what is no HTTP at all is refused, and nobody may take forever over it.

aiohttp's own answer to a malformed request quotes it, and so does the error that it logs: a header with a stray byte
would put its token into both. It also lets a head dribble in for an hour, and an answer lie unread without end.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ...telemetry import where
from ..http.problems import as_problem, broken, cut_short

_log: Final = logging.getLogger("consentful.http")

HEAD_S: Final = 10.0
"""How long a connection may take over a request's head, from its first byte, or from the connection's beginning."""

HEAD_BYTES: Final = 32 * 1024

UNREAD_S: Final = 30.0
"""How long an answer may wait for a client that takes none of it."""


class Line(RequestHandler):
    """One connection."""

    __slots__ = (
        "_abandoning",
        "_has_room",
        "_head_bytes",
        "_line",
        "_losing_patience",
        "_unread",
        "alarm",
        "alarm_at",
        "is_deaf",
        "received",
    )

    def __init__(self, manager: web.Server, has_room: Callable[[], bool], **options: Any) -> None:
        super().__init__(manager, **options)
        self._has_room = has_room
        self.received = 0
        """Bytes that came since the upgrade to a WebSocket; `alarm` is called once there are more than `alarm_at`."""
        self.alarm_at = 0
        self.alarm: Callable[[], None] | None = None
        self._line: asyncio.Transport | None = None
        self._head_bytes = 0
        self._losing_patience: asyncio.TimerHandle | None = None
        self._abandoning: asyncio.TimerHandle | None = None
        self._unread = 0
        self.is_deaf = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        line = cast("asyncio.Transport", transport)
        if not self._has_room():
            line.write(cut_short(HTTPStatus.SERVICE_UNAVAILABLE))
            line.close()
            return
        self._line = line
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        for timer in (self._losing_patience, self._abandoning):
            if timer is not None:
                timer.cancel()
        self._line = self.alarm = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._upgraded:  # pyright: ignore[reportUnknownMemberType]
            self.received += len(data)
            super().data_received(data)
            if self.received > self.alarm_at and self.alarm is not None:
                self.alarm()
            return
        heads = self._request_count
        super().data_received(data)
        if self._request_count > heads:
            self._stop_awaiting()
            self.received = len(self._message_tail)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        elif self._losing_patience is not None or self._is_idle:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._cut_short(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            elif self._losing_patience is None:
                self._await_head()

    def stop_listening(self) -> None:
        """Read nothing more: what the client still sends waits on its own side."""
        self.is_deaf = True
        self._pause_transport_reading()

    def _resume_transport_reading(self) -> None:
        if not self.is_deaf:
            super()._resume_transport_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._payload_parser is None:  # a dialog has a patience of its own, and a close code
            self._await_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._abandoning is not None:
            self._abandoning.cancel()
            self._abandoning = None

    async def start(self) -> None:
        await super().start()
        if self._line is not None and self._abandoning is None:
            self._await_reading()  # what is written is still to be read, and the client may never do so

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp names it so
        if self._waiter is not None:  # one that had not begun to wait when it was told to close
            self._waiter.cancel()
        await super().shutdown(timeout)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer. What aiohttp refused before the application had a say would quote the request."""
        if isinstance(resp, web.HTTPException) and resp.status >= HTTPStatus.BAD_REQUEST:
            resp = as_problem(resp)
        if self._upgraded and self._payload_parser is None:  # pyright: ignore[reportUnknownMemberType]
            resp.force_close()  # an upgrade that was refused: what comes behind it are frames, and no requests
            self._message_tail = b""
            self.stop_listening()
        return await super().finish_response(request, resp, start_time)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what never became a request, or broke off; `message` and `exc` may quote it, so they stay here."""
        ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(exc, ConnectionError)
        _log.log(logging.ERROR if ours else logging.DEBUG, "request broke off", extra=where(exc) if exc else {})
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        response = broken(status)
        response.force_close()
        return response

    @property
    def _is_idle(self) -> bool:
        """Whether a head is what comes next."""
        return self._waiter is not None and not self._waiter.done()

    def _await_head(self) -> None:
        self._losing_patience = self._loop.call_later(HEAD_S, self._cut_short, HTTPStatus.REQUEST_TIMEOUT)

    def _stop_awaiting(self) -> None:
        self._head_bytes = 0
        if self._losing_patience is not None:
            self._losing_patience.cancel()
            self._losing_patience = None

    def _cut_short(self, status: HTTPStatus) -> None:
        """Hang up on a head that does not end, and say why if it had begun."""
        said_something = self._head_bytes > 0
        self._stop_awaiting()
        if self.transport is not None and said_something:
            self.transport.write(cut_short(status))
        self.force_close()

    def _await_reading(self) -> None:
        self._unread = self._line.get_write_buffer_size() if self._line is not None else 0
        self._abandoning = self._loop.call_later(UNREAD_S, self._abandon_unread)

    def _abandon_unread(self) -> None:
        """Drop the line if none of what waits was taken meanwhile."""
        self._abandoning = None
        if self._line is None:
            return
        if self._line.get_write_buffer_size() >= self._unread:
            self._line.abort()
        else:
            self._await_reading()
