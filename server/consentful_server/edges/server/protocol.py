"""One client's connection that speaks HTTP: aiohttp's protocol, with time-outs and without quotations.

aiohttp's own answer to a malformed request quotes it, and so does the error that it logs: a header with a stray byte
would put its token into both. aiohttp also waits an hour for a request's head, and for ever for a client to read.

    HEAD ──a whole head──► REQUEST ──answered──► HEAD (keep-alive) or CLOSING
     │                        └──101, hand_over──► GONE: the connection is a WebSocket's (`edges/websocket/socket`)
     └── 10 s or 32 KiB without a whole head ──► 408 or 431, LINGERING ──the client closes, or 2 s──► closed
    any ── bytes wait 30 s for a client that reads none of them ──► aborted

Everything runs on the event loop's thread: `data_received` and the timers are callbacks, `start` is aiohttp's one task
for this connection. Nothing else may touch it but the handler of an upgrade, which calls `hand_over`.

Races, and the line that closes each:

(R1) aiohttp sets `transport` to None when it closes, before all bytes are written: `_own_transport` stays until
     `connection_lost`, so that a client which reads nothing is still aborted.
(R2) `connection_lost` comes while a timer runs: it cancels both, and each looks for a transport before it acts.
(R3) The client sends frames while its upgrade is still being decided: aiohttp keeps them, and `hand_over` returns them.
(R4) aiohttp resumes reading when its queue drains, after `_stop_reading`: `_resume_transport_reading` refuses.
(R5) The server stops when this connection was accepted and does not wait for a request yet: `shutdown` wakes it.
(R6) The client still sends when its head is refused: closing then would reset the connection, and the client could lose
     the response (RFC 9112 §9.6). `_linger` lets it send, and `data_received` discards that.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, TypeAlias, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ...errors import Refusal
from ...telemetry.logs import where
from ..http.problems import as_problem, broken, cut_short
from .limits import HEAD_BYTES, HEAD_S

_log: Final = logging.getLogger("consentful.http")

LINGER_S: Final = 2.0
"""How long a client whose head was refused may send on, so that it gets the response."""

UNREAD_S: Final = 30.0
"""How long a response may wait for a client that reads none of it."""


TurnedAway: TypeAlias = Callable[[HTTPStatus], None]


class RequestProtocol(RequestHandler):
    """One connection, from its first byte to its last."""

    __slots__ = (
        "_has_stopped_reading",
        "_head_bytes",
        "_head_timer",
        "_is_handed_over",
        "_is_lingering",
        "_own_transport",
        "_refusal",
        "_turned_away",
        "_unread",
        "_unread_timer",
    )

    def __init__(self, manager: web.Server, refusal: Refusal | None, turned_away: TurnedAway, **options: Any) -> None:
        """`refusal` is that of its first request; `turned_away` is told what is refused before there is a request."""
        super().__init__(manager, **options)
        self._turned_away = turned_away
        self._refusal = refusal
        self._has_stopped_reading = False
        self._is_handed_over = False
        self._is_lingering = False
        self._own_transport: asyncio.Transport | None = None
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread = 0
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._own_transport = cast("asyncio.Transport", transport)  # (R1)
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        for timer in (self._head_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()  # (R2)
        self._own_transport = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_lingering:
            return  # (R6)
        if self.is_upgrading:
            super().data_received(data)  # (R3)
            return
        heads = self._request_count
        super().data_received(data)
        if self._request_count > heads:
            self._stop_head_timer()
        elif self._head_timer is not None or self._is_idle:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse_head(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            elif self._head_timer is None:
                self._start_head_timer()

    @property
    def is_upgrading(self) -> bool:
        """Whether the client asked to go on with another protocol: what follows its request are not requests."""
        return self._upgraded  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    @property
    def is_refused(self) -> bool:
        """Whether the upgrade that its first request asks for is refused: that was decided already."""
        return self._refusal is not None

    def refusal(self) -> Refusal:
        """Return why, once. Whoever raises it keeps no reference: its traceback would lead back to this object, and to
        all that the client has sent.
        """
        refusal, self._refusal = self._refusal, None
        assert refusal is not None
        return refusal

    def hand_over(self, successor: asyncio.Protocol) -> bytes:
        """Give the connection to another protocol, and return what the client has sent since its request.

        For this protocol and for aiohttp the connection is lost from now on; its task ends with the request's handler.
        """
        transport, tail = self._own_transport, self._message_tail
        assert transport is not None
        self._is_handed_over = True
        self.transport = None  # or losing the connection would close it
        self._message_tail = b""
        self.connection_lost(None)
        transport.set_protocol(successor)
        successor.connection_made(transport)
        transport.resume_reading()  # it was paused if the client sent much before its upgrade was decided
        return tail

    def _stop_reading(self) -> None:
        """Read nothing more: what the client still sends waits on its own side."""
        self._has_stopped_reading = True
        self._pause_transport_reading()

    def _resume_transport_reading(self) -> None:
        if not self._has_stopped_reading:  # (R4)
            super()._resume_transport_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_unread_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    async def start(self) -> None:
        await super().start()
        if self._own_transport is not None and self._unread_timer is None:
            self._start_unread_timer()  # the last response is written, and the client may never read it

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp names it so
        if self._waiter is not None:
            self._waiter.cancel()  # (R5)
        await super().shutdown(timeout)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the response. What aiohttp refused before a handler ran would quote the request, and is replaced."""
        if self._is_handed_over:
            return resp, True
        if isinstance(resp, web.HTTPException) and resp.status >= HTTPStatus.BAD_REQUEST:
            resp = as_problem(resp)
        if self.is_upgrading:
            resp.force_close()  # the upgrade was refused: what follows in the stream are frames, not requests
            self._message_tail = b""
            self._stop_reading()
        return await super().finish_response(request, resp, start_time)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a malformed or failed request. `message` and `exc` may quote it, so neither is sent nor logged."""
        is_internal = status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(exc, ConnectionError)
        _log.log(logging.ERROR if is_internal else logging.DEBUG, "request failed", extra=where(exc) if exc else {})
        if request.writer.output_size > 0:
            raise ConnectionError("a response was begun already")
        if not is_internal:
            self._turned_away(HTTPStatus(status))
        response = broken(status)
        response.force_close()
        return response

    @property
    def _is_idle(self) -> bool:
        """Whether the next bytes are a request's head."""
        return self._waiter is not None and not self._waiter.done()

    def _start_head_timer(self) -> None:
        self._head_timer = self._loop.call_later(HEAD_S, self._refuse_head, HTTPStatus.REQUEST_TIMEOUT)

    def _stop_head_timer(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse_head(self, status: HTTPStatus) -> None:
        """Close a connection whose request head does not end. One that sent nothing at all gets no response."""
        has_begun = self._head_bytes > 0
        self._stop_head_timer()
        if self.transport is None or not has_begun:
            self.force_close()
            return
        self._turned_away(status)
        self.transport.write(cut_short(status))
        self._linger(self.transport)

    def _linger(self, transport: asyncio.Transport) -> None:
        """Send nothing more, discard what the client sends, and close the connection when it has or its time is up."""
        self._is_lingering = True  # (R6)
        if transport.can_write_eof():
            transport.write_eof()
        self._head_timer = self._loop.call_later(LINGER_S, self.force_close)

    def _start_unread_timer(self) -> None:
        self._unread = self._own_transport.get_write_buffer_size() if self._own_transport is not None else 0
        self._unread_timer = self._loop.call_later(UNREAD_S, self._abort_unread)

    def _abort_unread(self) -> None:
        """Abort the connection if the client read nothing since the timer started; else wait once more."""
        self._unread_timer = None
        if self._own_transport is None:  # (R2)
            return
        if self._own_transport.get_write_buffer_size() >= self._unread:
            self._own_transport.abort()
        else:
            self._start_unread_timer()
