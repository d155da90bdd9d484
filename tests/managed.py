"""A service manager for tests: the socket of `sd_notify(3)`, and who sent what."""

import asyncio
import socket
import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

_CREDENTIALS: Final = struct.Struct("3i")
_PATIENCE_S: Final = 60

Told: TypeAlias = tuple[int, dict[str, str]]


class Manager:
    """Receives what a service tells, at once: the system holds ten datagrams, and a service drops what finds no room.

    `environment` is what systemd would start the service with.
    """

    def __init__(self, receiving: socket.socket, path: Path) -> None:
        self.environment = {"NOTIFY_SOCKET": str(path)}
        self._receiving = receiving
        self._received = asyncio.Queue[Told]()

    def receive(self) -> None:
        """Take the next datagram, which has arrived."""
        data, ancillary, _, _ = self._receiving.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))
        ((_, _, credentials),) = ancillary
        lines = (line.partition("=") for line in data.decode().split("\n"))
        self._received.put_nowait((_CREDENTIALS.unpack(credentials)[0], {name: value for name, _, value in lines}))

    async def told(self) -> Told:
        """Return the next datagram: the sender's process id, and its assignments."""
        async with asyncio.timeout(_PATIENCE_S):
            return await self._received.get()

    async def until(self, name: str) -> Told:
        """Return the next datagram that assigns this name; others are skipped."""
        async with asyncio.timeout(_PATIENCE_S):  # of all: the watchdog is told again and again
            while name not in (told := await self._received.get())[1]:
                pass
            return told


@contextmanager
def manager(path: Path) -> Generator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
        receiving.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        receiving.bind(str(path))
        manager, loop = Manager(receiving, path), asyncio.get_running_loop()
        loop.add_reader(receiving, manager.receive)
        try:
            yield manager
        finally:
            loop.remove_reader(receiving)
