"""Runs the application on sockets, with a connection of ours for each client."""

import resource
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from .protocol import Line

_MOST_HEADERS: Final = 64


_KEEP_ALIVE_S: Final = 75.0
"""Longer than proxies keep a connection that nobody uses (60 s), so that they are never the ones to be surprised."""


_BUFFER_BYTES: Final = 64 * 1024


_KEPT_BACK: Final = 256
"""Files for the store, the pages and the log: connections never take the last ones."""


class _Server(web.Server):
    _is_stopping = False

    def pre_shutdown(self) -> None:
        self._is_stopping = True
        super().pre_shutdown()

    def __call__(self) -> RequestHandler:
        return Line(self, self._has_room, loop=self._loop, **self._kwargs)

    def _has_room(self) -> bool:
        """Whether another connection may come: not while stopping, nor where it took a file that others will need."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return not self._is_stopping and len(self._connections) < files - _KEPT_BACK


class Runner(web.AppRunner):
    """Runs the application on sockets."""

    def __init__(self, app: web.Application, *, shutdown_timeout: float) -> None:
        super().__init__(
            app,
            access_log=None,
            shutdown_timeout=shutdown_timeout,
            keepalive_timeout=_KEEP_ALIVE_S,
            max_headers=_MOST_HEADERS,
            read_bufsize=_BUFFER_BYTES,
        )

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server  # aiohttp offers no way to choose it
        return server
