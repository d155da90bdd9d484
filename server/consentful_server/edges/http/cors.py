"""What pages of other origins may do: those of `--allow-origin` may call every route and read its answers.

The other side of the same list is `upgrade`: a browser asks nobody before it opens a WebSocket. Credentials that a
browser would add by itself are never allowed; there are none, a page sends its token (Fetch standard, §3.3).
"""

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from ...errors import Forbidden
from .headers import EXPORT_ID, REQUEST_ID

EXPOSED: Final = (
    hdrs.ALLOW,
    hdrs.CONTENT_DISPOSITION,
    EXPORT_ID,
    hdrs.LINK,
    hdrs.LOCATION,
    REQUEST_ID,
    hdrs.RETRY_AFTER,
    hdrs.WWW_AUTHENTICATE,
)
"""The headers of ours that tell a page something."""

_SENT: Final = "Authorization, Content-Type"
_REMEMBERED_S: Final = "600"


def refuse_foreign(request: web.Request, allowed: Collection[str]) -> None:
    """Let in pages of this server and of the allowed origins; programs send no Origin (RFC 6455 §10.2).

    Raises:
        Forbidden: If the page's origin is another.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin not in allowed and _netloc(origin) != request.host.lower():
        raise Forbidden("an allowed origin; start the server with --allow-origin to let this page in")


def preflight(request: web.Request, allowed: Collection[str]) -> web.Response | None:
    """Return the answer to a browser that asks first (Fetch standard, §3.3.5); None if the request is another.

    Raises:
        Forbidden: If it asks for a page of elsewhere.
    """
    if request.method != hdrs.METH_OPTIONS or hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
        return None
    refuse_foreign(request, allowed)
    unserved = request.match_info.http_exception
    if not isinstance(unserved, web.HTTPMethodNotAllowed):
        return None  # there is no such route
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ", ".join(sorted(unserved.allowed_methods)),
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _SENT,
            hdrs.ACCESS_CONTROL_MAX_AGE: _REMEMBERED_S,
        },
    )


def share(request: web.BaseRequest, response: web.StreamResponse, allowed: Collection[str]) -> None:
    """Let a page of an allowed origin read the answer. A cache must not hand it to a page of another.

    What is everybody's, as the public keys are, stays everybody's.
    """
    if not allowed or hdrs.ACCESS_CONTROL_ALLOW_ORIGIN in response.headers:
        return
    vary = response.headers.get(hdrs.VARY)
    response.headers[hdrs.VARY] = f"{vary}, {hdrs.ORIGIN}" if vary else hdrs.ORIGIN
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin in allowed:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = ", ".join(EXPOSED)


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # a bracket that nothing closes
        return None
