"""A new connection, until its first bytes tell what its client wants.

    WAITING ──a plain upgrade──► a live dialog's (`websocket/shortcut`)
       ├──any other bytes──► HTTP's, which is given them (`protocol`)
       ├──10 s without a byte──► closed
       └──lost, or the server stops──► closed

Everything runs on the event loop's thread. A connection has one protocol at a time: whoever takes it over calls
`set_protocol` on its transport, and this object is not called again.

Races, and the line that closes each:

(R1) The server stops when a connection was accepted and has sent nothing: `close` ends it, and it counts until then.
(R2) The client is gone, or was taken over, when its time-out would pass: `_leave` calls it off.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol, TypeAlias, cast

from ...errors import Refusal
from ..http.problems import cut_short
from ..timeouts import Timeouts
from .protocol import RequestProtocol

Take: TypeAlias = Callable[[bytes, asyncio.Transport], bool | Refusal]
"""Takes a connection over for a live dialog and returns True, or leaves it; see `websocket.shortcut.Shortcut.take`."""


class Host(Protocol):
    """The server to which newcomers come."""

    newcomers: "set[Newcomer]"
    silences: Timeouts
    """Of those that send nothing."""

    def has_room(self) -> bool:
        """Whether another connection is accepted."""
        ...

    def take(self, data: bytes, transport: asyncio.Transport) -> bool | Refusal:
        """See `Take`."""
        ...

    def turned_away(self, status: HTTPStatus) -> None:
        """Count a connection that was refused before there was a request."""
        ...

    def request_protocol(self, refusal: Refusal | None) -> RequestProtocol:
        """Return a protocol for HTTP, whose first request is refused if there is a refusal."""
        ...


class Newcomer(asyncio.Protocol):
    """One connection that has sent nothing yet."""

    __slots__ = ("_host", "_transport")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        own = cast("asyncio.Transport", transport)
        if not self._host.has_room():
            self._host.turned_away(HTTPStatus.SERVICE_UNAVAILABLE)
            own.write(cut_short(HTTPStatus.SERVICE_UNAVAILABLE))
            own.close()
            return
        self._transport = own
        self._host.newcomers.add(self)
        self._host.silences.begin(self.close)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        self._leave()
        if transport is None:
            return
        taken = self._host.take(data, transport)
        if taken is True:
            return
        protocol = self._host.request_protocol(taken if isinstance(taken, Refusal) else None)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._leave()

    def close(self) -> None:
        """Close the connection."""
        transport = self._transport
        self._leave()
        if transport is not None:
            transport.close()

    def _leave(self) -> None:
        self._transport = None
        self._host.newcomers.discard(self)
        self._host.silences.call_off(self.close)  # (R2)
