"""The web server under the application: what is no HTTP at all is refused without showing what it was.

aiohttp's own answer to a malformed request quotes it, and so does the error that it logs: a header with a stray byte
would put its token into both.
"""

import logging
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ..telemetry import where
from .requests import broken

_log: Final = logging.getLogger("consentful.http")


class _Protocol(RequestHandler):
    """One connection."""

    __slots__ = ()

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


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        protocol = super().__call__()
        protocol.__class__ = _Protocol  # aiohttp offers no way to choose it
        return protocol


class Runner(web.AppRunner):
    """Runs the application on sockets."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        return server
