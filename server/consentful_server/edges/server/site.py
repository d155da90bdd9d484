"""The address on which the application listens, with TLS if there is a certificate."""

import asyncio
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

    __slots__ = ("_certificate", "_settings", "_watching")

    def __init__(self, runner: Runner, settings: Settings, certificate: Certificate | None) -> None:
        super().__init__(runner, ssl_context=certificate and certificate.context, backlog=_BACKLOG)
        self._settings = settings
        self._certificate = certificate
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
        times: dict[str, Any] = {"ssl_handshake_timeout": _TLS_HANDSHAKE_S, "ssl_shutdown_timeout": _TLS_SHUTDOWN_S}
        server = self._runner.server
        assert server is not None
        self._server = await asyncio.get_running_loop().create_server(
            server,
            self._settings.host,
            self._settings.port,
            backlog=self._backlog,
            reuse_port=self._settings.workers > 1 or None,
            ssl=self._ssl_context,
            **({} if self._ssl_context is None else times),
        )
        if self._certificate is not None:
            self._watching = asyncio.create_task(self._certificate.watch(), name="consentful-certificate")

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await super().stop()


async def check_address(settings: Settings) -> None:
    """Bind the address of the settings and release it.

    Raises:
        OSError: If it is taken, not of this machine, or not allowed to this user.
    """
    loop = asyncio.get_running_loop()
    reuse_port = settings.workers > 1 or None
    server = await loop.create_server(
        asyncio.Protocol, settings.host, settings.port, reuse_port=reuse_port, start_serving=False
    )
    server.close()
    await server.wait_closed()
