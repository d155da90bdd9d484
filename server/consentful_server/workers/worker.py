"""A worker's side of the channel: it reports when it is asked, asks for the page of all, and notices that it is alone.

Everything runs on the event loop.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from itertools import count
from typing import Final, NamedTuple

from ..errors import Overloaded
from .channel import Ask, Channel, Reported, Scrape, Scraped, Serving
from .reports import Report

_PAGE_S: Final = 5.0
"""Longer than the supervisor waits for a worker that does not answer."""

_log: Final = logging.getLogger("consentful.server")


class Seat(NamedTuple):
    """What a worker gets from its supervisor, which keeps the other ends: a successor gets the same sockets."""

    listening: tuple[socket.socket, ...]
    """Bound to the service's addresses; connections that wait in them outlive the worker."""
    channel: socket.socket


class Worker:
    """A worker's channel to its supervisor. `report` returns what the worker has counted until now."""

    def __init__(self, channel: Channel, report: Callable[[], Report] = list) -> None:
        self._channel = channel
        self.report = report
        self._numbers = count(1)
        self._merged: dict[int, asyncio.Future[Report]] = {}

    async def answer(self) -> None:
        """Answer the supervisor until it is gone."""
        while (message := await self._channel.receive()) is not None:
            match message:
                case Ask(number):
                    self._channel.send(Reported(number, self.report()))
                case Scraped(number, report):
                    waiting = self._merged.get(number)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(report)
                case _:
                    raise TypeError(type(message).__name__)

    def serves(self) -> None:
        """Tell the supervisor that this worker accepts connections."""
        self._channel.send(Serving())

    async def merged_report(self) -> Report:
        """Return what all workers have counted.

        Raises:
            Overloaded: If the supervisor does not answer. The worker's own metrics instead would look like a reset.
        """
        number = next(self._numbers)
        self._merged[number] = asyncio.get_running_loop().create_future()
        self._channel.send(Scrape(number))
        try:
            async with asyncio.timeout(_PAGE_S):
                return await self._merged[number]
        except TimeoutError:
            _log.error("no metrics: the supervisor does not answer")
            raise Overloaded from None
        finally:
            del self._merged[number]

    async def leave(self) -> None:
        """Send the last report, of all that this worker ever counted, and close the channel."""
        self._channel.send(Reported(0, self.report()))
        await self._channel.close()
