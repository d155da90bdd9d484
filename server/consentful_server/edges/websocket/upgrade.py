"""From a GET to a live dialog: who may connect, in which subprotocol, from which page."""

from typing import Annotated, Final

from aiohttp import hdrs, web
from msgspec import Meta

from consentful import wire

from ...auth.access import Principal, Scope
from ...errors import BadRequest, Forbidden, Overloaded, Refusal, TooOften, Unauthenticated
from ...limits.clients import by_address, by_credential
from ...service import Service
from ..http import cors, faults, tags
from ..http.addresses import client_address
from ..http.pipeline import SERVICE, bearer
from ..http.route import Answer, Route
from ..server.protocol import RequestProtocol
from .connection import Connection
from .meter import Meter
from .socket import CLOSE_ANSWER_S, HEARTBEAT_S, Socket

SCOPE: Final[Scope] = "dialogs:write"


async def live(request: web.Request) -> web.StreamResponse:
    """Serve one dialog. Refusals are HTTP, but a browser cannot read those: one with a token is told in a frame."""
    service = request.app[SERVICE]
    offered = _offered(request)
    token = next((name.removeprefix(wire.BEARER) for name in offered if name.startswith(wire.BEARER)), None)
    subprotocol = _subprotocol(offered)
    refusal: Refusal | None = None
    principal = Principal("", frozenset())
    try:
        principal = await _admit(service, request, bearer(request) if token is None else token)
    except Refusal as refused:
        if token is None:
            raise
        refusal = refused
    socket = Socket(
        timeout=CLOSE_ANSWER_S,
        heartbeat=HEARTBEAT_S,
        autoping=False,
        protocols=() if subprotocol is None else (subprotocol,),
        compress=service.settings.compress,
        max_msg_size=service.limits.max_frame_bytes,
        decode_text=False,
    )
    codec = wire.CODECS[subprotocol or wire.JSON]
    await socket.prepare(_without_offers(request, subprotocol))
    line = request.protocol
    if refusal is not None:
        await _tell(socket, codec, refusal)
    elif isinstance(line, RequestProtocol) and line.transport is not None:  # or it is gone already
        names = (by_address(client_address(request)), by_credential(principal.id))
        meter = Meter(service, line, names)
        with service.clients.hold(*names):
            connection = Connection(service, socket, codec, principal, meter, line.transport)
            line.alarm = connection.charge
            await connection.run()
    return socket


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

    An offer can be a token, and aiohttp logs all of them when the first header alone holds none that it knows.
    """
    headers = request.headers.copy()
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


async def _tell(socket: web.WebSocketResponse, codec: wire.Codec, refusal: Refusal) -> None:
    data = codec.encode(faults.to_wire(refusal))
    await (socket.send_bytes(data) if codec.binary else socket.send_str(data.decode()))
    close = faults.fault_of(refusal).close
    await socket.close(code=close or faults.CLOSED_TOO_MANY_BAD_FRAMES, message=refusal.code.encode())


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
