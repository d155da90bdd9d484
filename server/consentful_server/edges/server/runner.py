"""Runs the application, with one `RequestProtocol` for each connection."""

import resource
from typing import Final

from aiohttp import web

from ..websocket.sockets import SOCKETS, Sockets
from .protocol import RequestProtocol

_MAX_HEADERS: Final = 64

_KEEP_ALIVE_S: Final = 75.0
"""Longer than proxies keep an unused connection (60 s), so that no proxy sends a request into a close."""

_BUFFER_BYTES: Final = 64 * 1024

_RESERVED_FILES: Final = 256
"""File descriptors for the store, the pages and the log, which connections never take."""


class _Server(web.Server):
    _is_stopping = False
    sockets: Sockets

    def pre_shutdown(self) -> None:
        self._is_stopping = True
        super().pre_shutdown()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp names it so
        await super().shutdown(timeout)
        await self.sockets.close()

    def __call__(self) -> RequestProtocol:
        return RequestProtocol(self, self._has_room, loop=self._loop, **self._kwargs)

    def _has_room(self) -> bool:
        """Whether another connection is accepted: not while stopping, nor with a file descriptor that is reserved."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return not self._is_stopping and len(self._connections) + len(self.sockets) < files - _RESERVED_FILES


class Runner(web.AppRunner):
    """Runs the application on sockets."""

    def __init__(self, app: web.Application, *, shutdown_timeout: float) -> None:
        super().__init__(
            app,
            access_log=None,
            shutdown_timeout=shutdown_timeout,
            keepalive_timeout=_KEEP_ALIVE_S,
            max_headers=_MAX_HEADERS,
            read_bufsize=_BUFFER_BYTES,
        )
        self._sockets = app[SOCKETS]

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server  # aiohttp has no option for the server's class
        assert isinstance(server, _Server)
        server.sockets = self._sockets
        return server
