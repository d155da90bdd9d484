"""From a GET to a live dialog: who may connect, in which subprotocol, from which page."""

from typing import Annotated, Final

from aiohttp import hdrs, web
from msgspec import Meta
from multidict import CIMultiDict

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
from .charging import Charging
from .connection import Connection
from .socket import Socket

SCOPE: Final[Scope] = "dialogs:write"

_NOBODY: Final = Principal("", frozenset())
_HANDSHAKE: Final = (
    hdrs.CONNECTION,
    hdrs.UPGRADE,
    hdrs.SEC_WEBSOCKET_VERSION,
    hdrs.SEC_WEBSOCKET_KEY,
    hdrs.SEC_WEBSOCKET_EXTENSIONS,
)


async def live(request: web.Request) -> web.StreamResponse:
    """Serve one dialog. Refusals are HTTP, but a browser cannot read those: one with a token is told in a frame."""
    service = request.app[SERVICE]
    _check_handshake(request)
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
    codec = wire.CODECS[subprotocol or wire.JSON]
    socket = Socket(
        is_binary=codec.binary,
        protocols=() if subprotocol is None else (subprotocol,),
        compress=service.settings.compress,
        max_message_bytes=service.limits.max_frame_bytes,
    )
    await socket.prepare(_without_offers(request, subprotocol))
    protocol = request.protocol
    if isinstance(protocol, RequestProtocol) and protocol.transport is not None:  # else it is lost already
        await _serve(request, socket, protocol, codec, admitted)
    return socket


def _check_handshake(request: web.Request) -> None:
    """See that the headers of the handshake (RFC 6455 §4.1) are text.

    aiohttp quotes a version that it does not know, and cannot encode what was no UTF-8.

    Raises:
        BadRequest: If one of them has bytes outside ASCII.
    """
    for name in _HANDSHAKE:
        if not all(value.isascii() for value in request.headers.getall(name, [])):
            raise BadRequest(name, "ASCII characters only")


async def _serve(
    request: web.Request, socket: Socket, protocol: RequestProtocol, codec: wire.Codec, admitted: Principal | Refusal
) -> None:
    """Serve the connection until it is closed or lost."""
    service = request.app[SERVICE]
    address = by_address(client_address(request))
    if isinstance(admitted, Refusal):
        connection = Connection(service, socket, codec, _NOBODY, Charging(service, protocol, (address,)))
        connection.turn_away(admitted)
        await socket.serve(connection, protocol)
        return
    names = (address, by_credential(admitted.id))
    connection = Connection(service, socket, codec, admitted, Charging(service, protocol, names))
    with service.clients.hold(*names):
        protocol.alarm = connection.charge
        connection.begin()
        await socket.serve(connection, protocol)


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


def _without_offers(request: web.Request, subprotocol: str | None) -> web.Request:
    """Return the request as if only the chosen subprotocol had been offered.

    An offer can be a token, and aiohttp logs every offer if the first header names no subprotocol that it knows.
    Headers outside ASCII are left out: aiohttp cannot encode all of them again, and nothing here reads them.
    """
    headers = CIMultiDict((name, value) for name, value in request.headers.items() if value.isascii())
    headers.popall(hdrs.SEC_WEBSOCKET_PROTOCOL, None)
    if subprotocol is not None:
        headers[hdrs.SEC_WEBSOCKET_PROTOCOL] = subprotocol
    return request.clone(headers=headers)


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
    cors.refuse_foreign(request, service.settings.allow_origin)
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
