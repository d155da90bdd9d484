"""The upgrade by aiohttp's way: a GET becomes a live dialog, or is refused. `shortcut` is the other way."""

from http import HTTPStatus
from typing import Annotated, Final

from aiohttp import hdrs, web
from msgspec import Meta

from consentful import wire

from ...auth.access import Principal
from ...errors import BadRequest, Forbidden, Overloaded, Refusal, TooOften, Unauthenticated
from ..http import tags
from ..http.pipeline import SERVICE, id_of
from ..http.route import Answer, Route
from ..server.protocol import RequestProtocol
from . import admission, handshake
from .admission import SubprotocolOffer
from .sockets import SOCKETS
from .upgraded import Upgraded

PATH: Final = "/v1/dialogs/live"


async def live(request: web.Request) -> web.StreamResponse:
    """Serve one dialog. Refusals are HTTP, but a browser cannot read those: one with a token is told in a frame."""
    service = request.app[SERVICE]
    protocol = request.protocol
    offer = SubprotocolOffer(request)
    admitted: Principal | Refusal
    try:
        admitted = await _admit(request, offer)
    except Refusal as refusal:
        if not offer.has_token:
            raise
        admitted = refusal
    if not isinstance(protocol, RequestProtocol) or not protocol.is_upgrading:
        raise BadRequest(hdrs.CONNECTION, "connect as a WebSocket client does, with `Connection: Upgrade`")
    compress, request_id = service.settings.compress, id_of(request)
    answer = handshake.accept(request.headers, offer.subprotocol, compress=compress, request_id=request_id)
    if protocol.transport is not None:  # else it is lost already
        upgraded = Upgraded(service, request.app[SOCKETS], request, offer, answer.deflate, admitted, request_id)
        protocol.transport.write(answer.head)
        upgraded.begin(protocol.hand_over(upgraded.socket))
    return web.Response(status=HTTPStatus.SWITCHING_PROTOCOLS)  # nothing of it is sent: the head was


async def _admit(request: web.Request, offer: SubprotocolOffer) -> Principal:
    """Return who is connecting.

    Raises:
        Refusal: Why they may not: as `knock` and `enter` say, or Unauthenticated.
    """
    service, protocol = request.app[SERVICE], request.protocol
    if isinstance(protocol, RequestProtocol) and protocol.is_refused:
        raise protocol.refusal()  # decided already: asking again would charge the client twice
    admission.knock(service, request)
    return admission.enter(service, await service.access.authenticate(offer.token))


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
        PATH,
        live,
        head=False,
        headers={hdrs.SEC_WEBSOCKET_PROTOCOL: _OFFERS},
        answers=(Answer({}, 101),),
        refusals=(BadRequest, Unauthenticated, Forbidden, Overloaded, TooOften),
        tag=tags.LIVE,
        operation="upgrade_live",
    ),
)
