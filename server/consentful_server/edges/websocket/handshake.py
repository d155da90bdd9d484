"""The server's half of the opening handshake (RFC 6455 §4.2). Pure.

What is refused is never quoted: a header that is no handshake may hold anything, a token as well.
"""

import base64
import binascii
import hashlib
from typing import Final, NamedTuple

from aiohttp import hdrs
from aiohttp.http import WS_KEY, ws_ext_gen, ws_ext_parse
from multidict import CIMultiDictProxy

from ...errors import BadRequest
from ..http.headers import REQUEST_ID
from ..http.protection import PROTECTION
from .deflate import Deflate

_VERSIONS: Final = ("13", "8", "7")
_KEY_BYTES: Final = 16
_HEADERS: Final = (
    hdrs.CONNECTION,
    hdrs.UPGRADE,
    hdrs.SEC_WEBSOCKET_VERSION,
    hdrs.SEC_WEBSOCKET_KEY,
    hdrs.SEC_WEBSOCKET_EXTENSIONS,
)
_END: Final = "".join(f"{name}: {value}\r\n" for name, value in PROTECTION.items()) + "\r\n"


class Handshake(NamedTuple):
    """An accepted handshake: the head of the answer, and the compression that both sides agreed on, if any."""

    head: bytes
    deflate: Deflate | None


def accept(headers: CIMultiDictProxy[str], subprotocol: str | None, *, compress: bool, request_id: str) -> Handshake:
    """Accept the client's handshake.

    Raises:
        BadRequest: If it is none, or of another version. The error names the header.
    """
    for name in _HEADERS:
        for value in headers.getall(name, ()):
            if not value.isascii():
                raise BadRequest(name, "ASCII characters only")
    if headers.get(hdrs.UPGRADE, "").strip().lower() != "websocket":
        raise BadRequest(hdrs.UPGRADE, "connect as a WebSocket client does, with `Upgrade: websocket`")
    if headers.get(hdrs.SEC_WEBSOCKET_VERSION, "") not in _VERSIONS:
        raise BadRequest(hdrs.SEC_WEBSOCKET_VERSION, "version 13 (RFC 6455)")
    accepted = _accept_of(headers.get(hdrs.SEC_WEBSOCKET_KEY, ""))
    head = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"{hdrs.SEC_WEBSOCKET_ACCEPT}: {accepted}\r\n{REQUEST_ID}: {request_id}\r\n"
    )
    if subprotocol is not None:
        head += f"{hdrs.SEC_WEBSOCKET_PROTOCOL}: {subprotocol}\r\n"
    offered = headers.get(hdrs.SEC_WEBSOCKET_EXTENSIONS) if compress else None
    window_bits, no_takeover = ws_ext_parse(offered, isserver=True)
    if window_bits:
        agreed = ws_ext_gen(compress=window_bits, isserver=True, server_notakeover=no_takeover)
        head += f"{hdrs.SEC_WEBSOCKET_EXTENSIONS}: {agreed}\r\n"
    deflate = Deflate(window_bits, keeps_window=not no_takeover) if window_bits else None
    return Handshake((head + _END).encode("ascii"), deflate)


def _accept_of(key: str) -> str:
    """Return the proof that the key was read (RFC 6455 §4.2.2).

    Raises:
        BadRequest: If it is no key of 16 bytes.
    """
    try:
        size = len(base64.b64decode(key))
    except binascii.Error:
        size = 0
    if size != _KEY_BYTES:
        raise BadRequest(hdrs.SEC_WEBSOCKET_KEY, "16 bytes in base64 (RFC 6455 §4.1)")
    return base64.b64encode(hashlib.sha1(key.encode() + WS_KEY, usedforsecurity=False).digest()).decode()
