"""A service manager for tests: the socket of `sd_notify(3)`, and who sent what."""

import asyncio
import socket
import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_CREDENTIALS: Final = struct.Struct("3i")


class Manager:
    """Receives what a service tells. `environment` is what systemd would start it with."""

    def __init__(self, receiving: socket.socket, path: Path) -> None:
        self._receiving = receiving
        self.environment = {"NOTIFY_SOCKET": str(path)}

    async def told(self) -> tuple[int, dict[str, str]]:
        """Return the next datagram: the sender's process id, and its assignments."""
        loop = asyncio.get_running_loop()
        arrived = loop.create_future()
        loop.add_reader(self._receiving, lambda: arrived.done() or arrived.set_result(None))
        try:
            async with asyncio.timeout(60):
                await arrived
        finally:
            loop.remove_reader(self._receiving)
        data, ancillary, _, _ = self._receiving.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))
        ((_, _, credentials),) = ancillary
        lines = (line.partition("=") for line in data.decode().split("\n"))
        return _CREDENTIALS.unpack(credentials)[0], {name: value for name, _, value in lines}

    async def until(self, name: str) -> tuple[int, dict[str, str]]:
        """Return the next datagram that assigns this name; others are skipped."""
        while True:
            pid, state = await self.told()
            if name in state:
                return pid, state


@contextmanager
def manager(path: Path) -> Generator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
        receiving.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        receiving.bind(str(path))
        yield Manager(receiving, path)
