"""Runs the application: each connection is a `Newcomer` first, then a live dialog's socket or a `RequestProtocol`."""

import asyncio
import resource
from http import HTTPStatus
from typing import Final

from aiohttp import web

from ...errors import BadSetting, Refusal
from ...telemetry.metrics import Metrics
from ..timeouts import Timeouts
from ..websocket.sockets import SOCKETS, Sockets
from .limits import HEAD_S, MAX_HEADERS
from .newcomer import Newcomer, Take
from .protocol import RequestProtocol

_KEEP_ALIVE_S: Final = 75.0
"""Longer than proxies keep an unused connection (60 s), so that no proxy sends a request into a close."""

_BUFFER_BYTES: Final = 64 * 1024

_RESERVED_FILES: Final = 256
"""File descriptors for the store, the pages and the log, which connections never take."""


def check_files() -> None:
    """Check that this process may open more files than those that connections never take.

    Raises:
        BadSetting: If not: it would serve, and turn every connection away.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files <= _RESERVED_FILES:
        raise BadSetting(
            "ulimit -n",
            f"must be more than {_RESERVED_FILES}, which the server needs besides its connections; it is {files}: "
            "set it, or LimitNOFILE of systemd, above the dialogs that you expect",
        )


class _Server(web.Server):
    """Satisfies `newcomer.Host`."""

    _is_stopping = False
    newcomers: set[Newcomer]
    silences: Timeouts
    sockets: Sockets
    shortcut: Take
    files: int
    metrics: Metrics

    def __call__(self) -> Newcomer:  # pyright: ignore[reportIncompatibleMethodOverride] - becomes a RequestHandler
        return Newcomer(self)

    def has_room(self) -> bool:
        """Return whether another connection is accepted: not while stopping, nor with a reserved file descriptor."""
        return not self._is_stopping and self.held < self.most

    @property
    def held(self) -> int:
        """Number of open connections."""
        return len(self._connections) + len(self.sockets) + len(self.newcomers)

    @property
    def most(self) -> int:
        """Number of connections that are accepted at most."""
        return max(0, self.files - _RESERVED_FILES)

    def turned_away(self, status: HTTPStatus) -> None:
        self.metrics.turned_away.labels(status.value).inc()

    def take(self, data: bytes, transport: asyncio.Transport) -> bool | Refusal:
        return self.shortcut(data, transport)

    def request_protocol(self, refusal: Refusal | None) -> RequestProtocol:
        return RequestProtocol(self, refusal, self.turned_away, loop=self._loop, **self._kwargs)

    def pre_shutdown(self) -> None:
        self._is_stopping = True
        for newcomer in list(self.newcomers):
            newcomer.close()  # (newcomer, R1)
        super().pre_shutdown()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp names it so
        await super().shutdown(timeout)
        await self.sockets.close()


class Runner(web.AppRunner):
    """Runs the application on sockets. `take` is asked first about each connection."""

    def __init__(self, app: web.Application, take: Take, metrics: Metrics, *, shutdown_timeout: float) -> None:
        super().__init__(
            app,
            access_log=None,
            shutdown_timeout=shutdown_timeout,
            keepalive_timeout=_KEEP_ALIVE_S,
            max_headers=MAX_HEADERS,
            read_bufsize=_BUFFER_BYTES,
        )
        self._take = take
        self._sockets = app[SOCKETS]
        self.metrics = metrics

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server  # aiohttp has no option for the server's class
        assert isinstance(server, _Server)
        server.newcomers = set()
        server.silences = Timeouts(HEAD_S)
        server.sockets = self._sockets
        server.shortcut = self._take
        server.files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        server.metrics = self.metrics
        self.metrics.connections.set_function(lambda: server.held)
        self.metrics.connections_limit.set(server.most)
        return server
