"""A live dialog at the moment of its upgrade: the answer is decided, and the connection not yet handed over."""

from typing import Final

from consentful import wire

from ...auth.access import Principal
from ...errors import Refusal
from ...limits.clients import by_address, by_credential
from ...service import Service
from ...telemetry import traces
from ..http.addresses import address_of
from ..http.head import Head
from .admission import SubprotocolOffer
from .charging import Charging
from .connection import CHANNEL, Connection
from .deflate import Deflate
from .socket import Socket
from .sockets import Sockets

_NOBODY: Final = Principal("", frozenset())


class Upgraded:
    """The socket that is to take the connection over, and what serves its frames."""

    __slots__ = ("_admitted", "_connection", "socket")

    def __init__(
        self,
        service: Service,
        sockets: Sockets,
        head: Head,
        offer: SubprotocolOffer,
        deflate: Deflate | None,
        admitted: Principal | Refusal,
        request_id: str,
    ) -> None:
        codec = wire.CODECS[offer.subprotocol or wire.JSON]
        self.socket = Socket(
            sockets, is_binary=codec.binary, deflate=deflate, max_message_bytes=service.limits.max_frame_bytes
        )
        address = by_address(address_of(head, service.settings))
        is_admitted = isinstance(admitted, Principal)
        names = (address, by_credential(admitted.id)) if is_admitted else (address,)
        principal = admitted if is_admitted else _NOBODY
        charging = Charging(service, self.socket, names)
        traceparent = head.headers.get(traces.TRACEPARENT)
        span = traces.begin("dialog.open", {"consentful.channel": CHANNEL}, traceparent=traceparent, kind="server")
        self._connection = Connection(
            service, self.socket, codec, principal, charging, sockets.closings, request_id, span
        )
        self._admitted = admitted
        self.socket.receiver = self._connection

    def begin(self, received: bytes) -> None:
        """Serve the dialog, or tell the client why it is not admitted, once the socket has the connection. `received`
        is what the client has sent since its handshake.
        """
        if isinstance(self._admitted, Refusal):
            self._connection.turn_away(self._admitted)
        else:
            self._connection.begin()
        if received:
            self.socket.data_received(received)
