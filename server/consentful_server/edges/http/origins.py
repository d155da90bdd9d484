"""Which pages are this server's own: their origin is the server's (RFC 6454).

An origin is scheme, host and port, where the scheme's default port may be left out: `Host: chat.example:443` and
`Origin: https://chat.example` are one. Whether a client spoke HTTPS is not always known:

    the server speaks TLS       https
    `--auth none`               http, because no token protects a change
    behind a proxy              either: the proxy may end TLS, and the token decides
    `--base-url`                also its origin, whatever the proxy sends as Host
"""

import re
from typing import Final, NamedTuple

from aiohttp import hdrs

from ...settings import Settings
from .head import Head

_ORIGIN: Final = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """A web origin, with its port."""

    scheme: str
    host: str
    port: int


def read_origin(text: str) -> Origin | None:
    """Return the origin of its serialisation; None if it is none of the web, such as `null` or `file://`."""
    found = _ORIGIN.fullmatch(text.lower())
    if found is None:
        return None
    scheme, host, port = found.groups()
    return Origin(scheme, host, _DEFAULT_PORTS[scheme] if port is None else int(port))


def is_foreign(head: Head, settings: Settings) -> bool:
    """Return whether a page sent the request that is neither this server's own nor of an allowed origin.

    Programs send no Origin (RFC 6455 §10.2). A form of our own sends `null`, because of our `Referrer-Policy` (Fetch
    standard, "serializing a request origin"); then `Sec-Fetch-Site` says whose it is, which no page can set.
    """
    origins = head.headers.getall(hdrs.ORIGIN, None)
    if not origins or (origins == ["null"] and head.headers.get("Sec-Fetch-Site") == "same-origin"):
        return False
    own = _own(head, settings)
    return any(origin not in settings.allow_origin and read_origin(origin) not in own for origin in origins)


def _own(head: Head, settings: Settings) -> set[Origin]:
    schemes = ("https",) if head.secure else ("http",) if settings.access == "none" else ("http", "https")
    found = [read_origin(f"{scheme}://{head.host}") for scheme in schemes]
    if settings.base_url:
        found.append(read_origin(settings.base_origin))
    return {origin for origin in found if origin is not None}
