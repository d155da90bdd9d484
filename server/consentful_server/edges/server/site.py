"""The address on which the application listens, with TLS if there is a certificate."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from ...settings import Settings
from .runner import Runner
from .tls import Certificate

_BACKLOG: Final = 4096
_TLS_HANDSHAKE_S: Final = 10.0
"""asyncio would wait a minute for a client that begins a TLS handshake and sends nothing more."""

_TLS_SHUTDOWN_S: Final = 5.0


class Site(web.BaseSite):
    """Listens once it is started."""

    __slots__ = ("_certificate", "_given", "_metrics", "_servers", "_settings", "_watching")

    def __init__(
        self,
        runner: Runner,
        settings: Settings,
        certificate: Certificate | None,
        given: Sequence[socket.socket] | None = None,
    ) -> None:
        """`given` are sockets that are bound to the address already, by `bind`."""
        super().__init__(runner, ssl_context=certificate and certificate.context, backlog=_BACKLOG)
        self._settings = settings
        self._metrics = runner.metrics
        self._certificate = certificate
        self._given = given
        self._servers: list[asyncio.Server] = []
        self._watching: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The URL at which it listens. With port 0 the system chose one, and this names it."""
        host, port = (self._runner.addresses or [(self._settings.host, self._settings.port)])[0][:2]
        scheme = "http" if self._ssl_context is None else "https"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    async def start(self) -> None:
        """Listen, and reload the certificate when its files change, until `stop`."""
        await super().start()
        if self._given is None:
            self._servers.append(await self._server_on(host=self._settings.host, port=self._settings.port))
        else:
            for each in self._given:
                self._servers.append(await self._server_on(sock=each))
        self._server = self._servers[0]  # the one that aiohttp closes, and asks for the address
        if self._certificate is not None:
            self._metrics.certificate.set_function(self._expiry)
            self._watching = asyncio.create_task(self._certificate.watch(), name="consentful-certificate")

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        for server in self._servers[1:]:
            server.close()
        await super().stop()

    def _expiry(self) -> float:
        assert self._certificate is not None
        return self._certificate.expires.timestamp()

    async def _server_on(self, **where: Any) -> asyncio.Server:
        server = self._runner.server
        assert server is not None
        if self._ssl_context is not None:
            where["ssl"] = self._ssl_context
            where["ssl_handshake_timeout"] = _TLS_HANDSHAKE_S
            where["ssl_shutdown_timeout"] = _TLS_SHUTDOWN_S
        return await asyncio.get_running_loop().create_server(server, backlog=self._backlog, **where)


async def check_address(settings: Settings) -> None:
    """Bind the address of the settings and release it.

    Raises:
        OSError: If it is taken, not of this machine, or not allowed to this user.
    """
    for each in await bind(settings, is_shared=False):
        each.close()


async def bind(settings: Settings, *, is_shared: bool = True) -> list[socket.socket]:
    """Return sockets bound to the address of the settings, one for each that its name has. They do not listen yet.

    With `is_shared` others of this user may bind it as well, and the kernel spreads connections over all of them.

    Raises:
        OSError: If it is taken, not of this machine, or not allowed to this user.
    """
    server = await asyncio.get_running_loop().create_server(
        asyncio.Protocol, settings.host, settings.port, reuse_port=is_shared or None, start_serving=False
    )
    try:
        return [each.dup() for each in server.sockets]
    finally:
        server.close()
