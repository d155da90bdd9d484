"""From a GET to a live dialog: who may connect, in which subprotocol, from which page."""

from http import HTTPStatus
from typing import Annotated, Final

from aiohttp import hdrs, web
from msgspec import Meta

from consentful import wire

from ...auth.access import Principal, Scope
from ...errors import BadRequest, Forbidden, Overloaded, Refusal, TooOften, Unauthenticated
from ...limits.clients import by_address, by_credential
from ...service import Service
from ..http import cors, tags
from ..http.addresses import client_address
from ..http.pipeline import SERVICE, bearer
from ..http.route import Answer, Route
from ..server.protocol import RequestProtocol
from . import handshake
from .charging import Charging
from .connection import Connection
from .socket import Socket
from .sockets import SOCKETS

SCOPE: Final[Scope] = "dialogs:write"

_NOBODY: Final = Principal("", frozenset())


async def live(request: web.Request) -> web.StreamResponse:
    """Serve one dialog. Refusals are HTTP, but a browser cannot read those: one with a token is told in a frame."""
    service = request.app[SERVICE]
    offered = _offered(request)
    token = next((name.removeprefix(wire.BEARER) for name in offered if name.startswith(wire.BEARER)), None)
    subprotocol = _subprotocol(offered)
    admitted: Principal | Refusal
    try:
        admitted = await _admit(service, request, bearer(request) if token is None else token)
    except Refusal as refusal:
        if token is None:
            raise
        admitted = refusal
    protocol = request.protocol
    if not isinstance(protocol, RequestProtocol) or not protocol.is_upgrading:
        raise BadRequest(hdrs.CONNECTION, "connect as a WebSocket client does, with `Connection: Upgrade`")
    head, deflate = handshake.accept(request.headers, subprotocol, compress=service.settings.compress)
    codec = wire.CODECS[subprotocol or wire.JSON]
    socket = Socket(
        request.app[SOCKETS],
        is_binary=codec.binary,
        deflate=deflate,
        max_message_bytes=service.limits.max_frame_bytes,
    )
    if protocol.transport is not None:  # else it is lost already
        protocol.transport.write(head)
        _serve(request, protocol, socket, codec, admitted)
    return web.Response(status=HTTPStatus.SWITCHING_PROTOCOLS)  # nothing of it is sent: the head was


def _serve(
    request: web.Request, protocol: RequestProtocol, socket: Socket, codec: wire.Codec, admitted: Principal | Refusal
) -> None:
    """Hand the client's connection over to a live dialog, or to one that only tells it why it is not admitted."""
    service = request.app[SERVICE]
    is_admitted = isinstance(admitted, Principal)
    address = by_address(client_address(request))
    names = (address, by_credential(admitted.id)) if is_admitted else (address,)
    principal = admitted if is_admitted else _NOBODY
    connection = Connection(service, socket, codec, principal, Charging(service, socket, names))
    socket.receiver = connection
    received = protocol.hand_over(socket)
    if isinstance(admitted, Refusal):
        connection.turn_away(admitted)
    else:
        connection.begin()
    if received:
        socket.data_received(received)


def _offered(request: web.Request) -> list[str]:
    header = ",".join(request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
    return [name.strip() for name in header.split(",") if name.strip()]


def _subprotocol(offered: list[str]) -> str | None:
    """Return the first subprotocol that both sides speak; None if none was asked for, which means JSON.

    Raises:
        BadRequest: If only others were offered.
    """
    chosen = next((name for name in offered if name in wire.CODECS), None)
    if offered and chosen is None:
        raise BadRequest("Sec-WebSocket-Protocol", f"offer {wire.JSON} or {wire.MSGPACK}")
    return chosen


async def _admit(service: Service, request: web.Request, token: str | None) -> Principal:
    """Return who is connecting.

    Raises:
        Overloaded: If the server is stopping or full.
        TooOften: If the client has opened too many, or owes for those it had.
        Forbidden: If the page's origin is not allowed, or the token lacks the scope.
        Unauthenticated: If the token is not valid.
    """
    if service.is_draining:
        raise Overloaded
    service.registry.check_room()
    service.clients.admit(by_address(client_address(request)))
    cors.refuse_foreign(request, service.settings)
    principal = await service.access.authenticate(token)
    principal.require(SCOPE)
    service.clients.admit(by_credential(principal.id))
    return principal


_OFFERS: Final = Annotated[
    str,
    Meta(
        description=f"`{wire.JSON}` (also when none is offered) or `{wire.MSGPACK}`;"
        f" a browser adds `{wire.BEARER}<token>`",
        examples=[wire.JSON],
    ),
]

ROUTES: Final = (
    Route(
        "GET",
        "/v1/dialogs/live",
        live,
        head=False,
        headers={hdrs.SEC_WEBSOCKET_PROTOCOL: _OFFERS},
        answers=(Answer({}, 101),),
        refusals=(BadRequest, Unauthenticated, Forbidden, Overloaded, TooOften),
        tag=tags.LIVE,
        operation="upgrade_live",
    ),
)
