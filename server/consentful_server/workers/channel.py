"""What a supervisor and a worker say to each other, over a pair of sockets that nobody else has.

    supervisor ── Ask ──► worker       worker ── Reported ──► supervisor     the last one counts
    worker ── Serving ──► supervisor   once
    worker ── Scrape ──► supervisor    supervisor ── Scraped ──► worker      the metrics of all workers
    worker ── Poll ──► supervisor      supervisor ── Look ──► each worker that serves
    each ── Looked ──► supervisor      supervisor ── Polled ──► worker       the readiness of all workers

The end of one process is the end of the channel, whichever way the process ended: the system closes its socket. A
worker so learns that its supervisor is gone, and a supervisor has read all that a worker sent before it counts it as
ended.

A message is its length in four bytes, then MessagePack. Both ends are the same program, so nothing is checked twice.
"""

import asyncio
import socket
from contextlib import suppress
from typing import Final, TypeAlias

import msgspec

from . import reports
from .parts import Parts

_LENGTH_BYTES: Final = 4


class Ask(msgspec.Struct, frozen=True, tag=True):
    """The supervisor wants a report."""

    number: int


class Reported(msgspec.Struct, frozen=True, tag=True):
    """What the worker counted: the answer to the `Ask` of this number, or 0 for the last report of all."""

    number: int
    report: reports.Report


class Serving(msgspec.Struct, frozen=True, tag=True):
    """The worker accepts connections, and takes SIGHUP."""


class Scrape(msgspec.Struct, frozen=True, tag=True):
    """The worker wants the metrics of all workers."""

    number: int


class Scraped(msgspec.Struct, frozen=True, tag=True):
    """What all workers counted."""

    number: int
    report: reports.Report


class Poll(msgspec.Struct, frozen=True, tag=True):
    """The worker wants to know which parts of all workers are ready."""

    number: int


class Look(msgspec.Struct, frozen=True, tag=True):
    """The supervisor wants to know which parts of the worker are ready."""

    number: int


class Looked(msgspec.Struct, frozen=True, tag=True):
    """The worker's parts, as they were when it had tried each: a write to the store may take seconds."""

    number: int
    parts: Parts


class Polled(msgspec.Struct, frozen=True, tag=True):
    """The parts of all workers."""

    number: int
    parts: Parts


Message: TypeAlias = Ask | Reported | Serving | Scrape | Scraped | Poll | Look | Looked | Polled

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Message)


class Channel:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """Return the channel over one of a pair of sockets, which it closes."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, message: Message) -> None:
        """Send a message, or nothing if the other end is closed."""
        if not self._writer.is_closing():
            body = _encoder.encode(message)
            self._writer.write(len(body).to_bytes(_LENGTH_BYTES) + body)

    async def receive(self) -> Message | None:
        """Return the next message; None once the other end is closed and all that it sent was returned."""
        try:
            size = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES))
            return _decoder.decode(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def close(self) -> None:
        """Send what was not sent yet, and close this end."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
