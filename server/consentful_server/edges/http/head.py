"""What of a request tells who sent it: aiohttp's request, or a head that was read without aiohttp's server."""

from typing import NamedTuple, TypeAlias

from aiohttp import web
from multidict import CIMultiDictProxy


class PlainHead(NamedTuple):
    """The head of one request, and the connection that it came on.

    `host` is the value of the Host header. `secure` tells whether the connection is TLS. `remote` is the address at its
    other end: the client's, or a proxy's.
    """

    headers: CIMultiDictProxy[str]
    host: str
    secure: bool
    remote: str | None


Head: TypeAlias = web.BaseRequest | PlainHead
