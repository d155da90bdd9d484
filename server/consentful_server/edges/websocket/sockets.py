"""The open WebSockets of one process, from the answer to the handshake to the last byte."""

import asyncio
from typing import Final, Protocol

from aiohttp import web

from ..timeouts import Timeouts
from .closing import CLOSE_WITHIN_S


class Open(Protocol):
    """One of them."""

    def abort(self) -> None:
        """Drop the connection; it is discarded once it is lost."""
        ...


class Sockets:
    """Counts them, and drops those that are left when the server stops."""

    def __init__(self) -> None:
        self._open: set[Open] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.closings = Timeouts(CLOSE_WITHIN_S)
        """Of clients that are to answer a close frame."""

    def __len__(self) -> int:
        return len(self._open)

    def add(self, socket: Open) -> None:
        self._open.add(socket)
        self._empty.clear()

    def discard(self, socket: Open) -> None:
        self._open.discard(socket)
        if not self._open:
            self._empty.set()

    async def close(self) -> None:
        """Drop every connection, and return once all are lost."""
        for socket in list(self._open):
            socket.abort()
        await self._empty.wait()


SOCKETS: Final = web.AppKey("sockets", Sockets)
