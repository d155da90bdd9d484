"""A network between the SDK and the service that tears."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from yarl import URL

_CHUNK: Final = 4096


class TornWire:
    """Passes bytes on, and cuts each connection after as many as it is told: of the client's, of the server's."""

    def __init__(self, target: str, cuts: Callable[[], tuple[int, int]]) -> None:
        self.url = ""
        self.torn = 0
        """How many connections were cut."""
        self._target = URL(target)
        self._cuts = cuts

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator["TornWire"]:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = self._cuts()
        assert self._target.host is not None
        far_reader, far_writer = await asyncio.open_connection(self._target.host, self._target.port)
        ways = {
            asyncio.create_task(self._pass(reader, far_writer, up)),
            asyncio.create_task(self._pass(far_reader, writer, down)),
        }
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, far_writer):
            end.transport.abort()
            with suppress(ConnectionError):
                await end.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                writer.write(data[:left])
                await writer.drain()
                left -= len(data)
                if left <= 0:
                    self.torn += 1
                    return
