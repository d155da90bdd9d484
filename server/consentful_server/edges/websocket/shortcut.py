"""The short way to a live dialog: a plain upgrade, which is nearly all that chatbots send, without aiohttp's server.

aiohttp's way costs a task, a request, routing, middleware and a response, together more than all else that a short
dialog costs. Here aiohttp's parser (in C) reads the head, and the handshake is answered at once. What decides is the
same on both ways (`admission`, `handshake`), and so is what serves the dialog (`upgraded`).

Not taken, and left as it is for aiohttp's way:

    not plain       another request, a query, a body, a head that comes in pieces, or one that is not accepted
    not known       a token that has to be looked up first: the first one of a credential, and after some seconds again
    not admitted    the refusal, once it is decided, is handed on, to be told in HTTP

Which way a client takes it cannot tell (`tests/server/edges/test_both_ways.py`).
"""

import asyncio
import time
from http import HTTPStatus
from typing import Any, Final

from aiohttp import hdrs
from aiohttp.http import HttpProcessingError, HttpRequestParser

from ...auth.access import Principal
from ...errors import Refusal
from ...service import Service
from ..http.foreign import refuse_other_hosts
from ..http.head import PlainHead
from ..http.request_ids import request_id_of
from ..server.limits import HEAD_BYTES, MAX_HEADERS
from . import admission, handshake
from .admission import SubprotocolOffer
from .sockets import Sockets
from .upgrade import PATH
from .upgraded import Upgraded

_REQUEST_LINE: Final = f"GET {PATH} HTTP/1.1\r\n".encode()
_END: Final = b"\r\n\r\n"
_NOT_PLAIN: Final = (hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING, hdrs.EXPECT)


class Shortcut:
    """Takes connections whose first bytes are a plain upgrade."""

    def __init__(self, service: Service, sockets: Sockets) -> None:
        self._service = service
        self._sockets = sockets
        answered = service.metrics.requests.labels(hdrs.METH_GET, PATH, HTTPStatus.SWITCHING_PROTOCOLS.value)
        self._observe = answered.observe

    def take(self, data: bytes, transport: asyncio.Transport) -> bool | Refusal:
        """Answer the upgrade and return True, or leave the connection as it is: False means that nothing is decided."""
        began = time.perf_counter()
        read = _read(data, transport)
        if read is None:
            return False
        head, received = read
        service = self._service
        try:
            offer = SubprotocolOffer(head)
            request_id = request_id_of(head, service.settings)
            compress = service.settings.compress
            answer = handshake.accept(head.headers, offer.subprotocol, compress=compress, request_id=request_id)
            refuse_other_hosts(head, service.settings)
        except Refusal:
            return False
        principal = service.access.recall(offer.token)
        if principal is None:
            return False
        admitted = _admit(service, head, principal)
        if isinstance(admitted, Refusal) and not offer.has_token:
            return admitted
        upgraded = Upgraded(service, self._sockets, head, offer, answer.deflate, admitted, request_id)
        transport.write(answer.head)
        transport.set_protocol(upgraded.socket)
        upgraded.socket.connection_made(transport)
        upgraded.begin(received)
        self._observe(time.perf_counter() - began)
        return True


def _admit(service: Service, head: PlainHead, principal: Principal) -> Principal | Refusal:
    try:
        admission.knock(service, head)
        return admission.enter(service, principal)
    except Refusal as refusal:
        return refusal.with_traceback(None)  # it is raised once more, and would keep the values of these frames


def _read(data: bytes, transport: asyncio.Transport) -> tuple[PlainHead, bytes] | None:
    """Return the head of a plain upgrade, and what follows it; None if the bytes are anything else."""
    head, end, received = data.partition(_END)
    if not end or not head.startswith(_REQUEST_LINE) or len(head) > HEAD_BYTES:
        return None
    nobody: Any = None  # the parser's protocol would be told of a body, and is given none
    parser = HttpRequestParser(nobody, asyncio.get_running_loop(), HEAD_BYTES, max_headers=MAX_HEADERS)
    try:
        messages, is_upgrade, _ = parser.feed_data(head + end)
    except HttpProcessingError:
        return None
    if not is_upgrade or len(messages) != 1:
        return None
    headers = messages[0][0].headers
    host = headers.get(hdrs.HOST)
    if host is None or any(name in headers for name in _NOT_PLAIN):
        return None
    peer = transport.get_extra_info("peername")
    return PlainHead(headers, host, transport.get_extra_info("sslcontext") is not None, peer and str(peer[0])), received
