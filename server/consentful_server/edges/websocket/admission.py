"""Who may hold a live dialog, and in which subprotocol. Both ways to an upgrade ask here, and nowhere else.

    knock ──► the token is authenticated ──► enter

The token may have to be looked up in between, so there are two parts; what either refuses is told by the caller.
"""

from typing import Final

from aiohttp import hdrs

from consentful import wire

from ...auth.access import Principal, Scope
from ...errors import BadRequest, Overloaded
from ...limits.clients import by_address, by_credential
from ...service import Service
from ..http import cors
from ..http.addresses import address_of
from ..http.authorization import bearer
from ..http.head import Head

SCOPE: Final[Scope] = "dialogs:write"


class SubprotocolOffer:
    """What a client offers in `Sec-WebSocket-Protocol`; a browser puts its token there, too."""

    __slots__ = ("has_token", "subprotocol", "token")

    def __init__(self, head: Head) -> None:
        """Read the offer.

        Raises:
            BadRequest: If only subprotocols were offered that this server does not speak.
        """
        header = ",".join(head.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
        offered = [name.strip() for name in header.split(",") if name.strip()]
        token = next((name.removeprefix(wire.BEARER) for name in offered if name.startswith(wire.BEARER)), None)
        self.has_token = token is not None
        """Whether the token is among the subprotocols: whoever sends it there cannot read an answer in HTTP."""
        self.token = bearer(head) if token is None else token
        self.subprotocol = next((name for name in offered if name in wire.CODECS), None)
        """The first that both sides speak; None if none was offered, which means JSON."""
        if offered and self.subprotocol is None:
            raise BadRequest(hdrs.SEC_WEBSOCKET_PROTOCOL, f"offer {wire.JSON} or {wire.MSGPACK}")


def knock(service: Service, head: Head) -> None:
    """Check what can be told without the token.

    Raises:
        Overloaded: If the server is stopping or full.
        TooOften: If the client's address has opened too many, or owes for those it had.
        Forbidden: If the page's origin is not allowed.
    """
    if service.is_draining:
        raise Overloaded
    service.registry.check_room()
    service.clients.admit(by_address(address_of(head, service.settings)))
    cors.refuse_foreign(head, service.settings)


def enter(service: Service, principal: Principal) -> Principal:
    """Check what can be told of the principal, and return it.

    Raises:
        Forbidden: If its token lacks the scope.
        TooOften: If it has opened too many, or owes for those it had.
    """
    principal.require(SCOPE)
    service.clients.admit(by_credential(principal.id))
    return principal
