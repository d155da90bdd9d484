"""With `--auth none`, what pages of other sites may not do. No token protects the service then, so this must.

Two checks: the host that the client addressed, which stops DNS rebinding (a page whose name resolves to 127.0.0.1 would
count as same-origin), and the page that sent a change, which stops cross-site form posts, for which browsers send no
preflight. `Origin` and `Sec-Fetch-Site` say where a request comes from; browsers leave the latter out in some cases,
such as on pages without HTTPS.
"""

from typing import Final

from aiohttp import hdrs, web

from ...errors import Forbidden
from ...settings import Settings, is_loopback
from .head import Head
from .origins import is_foreign

_SAFE: Final = (hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS)
_ELSEWHERE: Final = ("cross-site", "same-site")


def refuse_foreign(request: web.Request, settings: Settings) -> None:
    """Allow changes from pages of this server and of the allowed origins, at a loopback address.

    Raises:
        Forbidden: If it is another page's change, or was sent to another host.
    """
    if settings.access != "none":
        return
    if request.method not in _SAFE and (_is_sent_elsewhere(request, settings) or is_foreign(request, settings)):
        raise Forbidden(
            "a page of this server, because `--auth none` checks no token; add the page's origin to --allow-origin",
            denial="origin",
        )
    refuse_other_hosts(request, settings)


def refuse_other_hosts(head: Head, settings: Settings) -> None:
    """Allow requests to a loopback address.

    Raises:
        Forbidden: If it was sent to another host.
    """
    if settings.access == "none" and not is_loopback(without_port(head.host.lower())):
        raise Forbidden(
            "a loopback address in the Host header, because `--auth none` serves this machine only", denial="host"
        )


def without_port(host: str) -> str:
    """Return the host of a Host header."""
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


def _is_sent_elsewhere(head: Head, settings: Settings) -> bool:
    """Return whether the browser says that a page of elsewhere sent the request, and the page is not allowed to."""
    origin = head.headers.get(hdrs.ORIGIN)
    return head.headers.get("Sec-Fetch-Site") in _ELSEWHERE and origin not in settings.allow_origin
