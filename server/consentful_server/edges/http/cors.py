"""CORS (Fetch standard, §3.3): pages of the origins in `--allow-origin` may call every route and read the responses.

Browsers send no preflight for WebSockets, so `websocket/admission` checks the same list itself. Responses never allow
credentials that a browser adds by itself: the service has no cookies, and a page sends its token.
"""

from collections.abc import Collection
from typing import Final

from aiohttp import hdrs, web

from ...errors import Forbidden
from ...settings import Settings
from .head import Head
from .headers import EXPORT_ID, REQUEST_ID
from .origins import is_foreign

EXPOSED: Final = (
    hdrs.ALLOW,
    hdrs.CONTENT_DISPOSITION,
    hdrs.ETAG,
    EXPORT_ID,
    hdrs.LINK,
    hdrs.LOCATION,
    REQUEST_ID,
    hdrs.RETRY_AFTER,
    hdrs.WWW_AUTHENTICATE,
)
"""The response headers that pages of other origins may read."""

_SENT: Final = "Authorization, Content-Type, If-Match, If-None-Match"
_REMEMBERED_S: Final = "600"


def refuse_foreign(head: Head, settings: Settings) -> None:
    """Allow pages of this server and of the allowed origins, and programs.

    Raises:
        Forbidden: If the page is of another origin.
    """
    if is_foreign(head, settings):
        raise Forbidden(
            "an allowed origin; add the page's origin to --allow-origin, or set --base-url to this server's address",
            denial="origin",
        )


def preflight(request: web.Request, settings: Settings) -> web.Response | None:
    """Return the response to a CORS preflight (Fetch standard, §3.3.5); None if the request is not a preflight.

    Raises:
        Forbidden: If the page's origin is not allowed.
    """
    if request.method != hdrs.METH_OPTIONS or hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
        return None
    refuse_foreign(request, settings)
    unserved = request.match_info.http_exception
    if not isinstance(unserved, web.HTTPMethodNotAllowed):
        return None  # the route does not exist: 404, as for any other request
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ", ".join(sorted(unserved.allowed_methods)),
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _SENT,
            hdrs.ACCESS_CONTROL_MAX_AGE: _REMEMBERED_S,
        },
    )


def share(request: web.BaseRequest, response: web.StreamResponse, allowed: Collection[str]) -> None:
    """Let a page of an allowed origin read the response; `Vary` keeps caches from serving it to another origin.

    A response that every origin may read, as the public keys are, is left unchanged.
    """
    if not allowed or hdrs.ACCESS_CONTROL_ALLOW_ORIGIN in response.headers:
        return
    vary = response.headers.get(hdrs.VARY)
    response.headers[hdrs.VARY] = f"{vary}, {hdrs.ORIGIN}" if vary else hdrs.ORIGIN
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin in allowed:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = ", ".join(EXPOSED)
