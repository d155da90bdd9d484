"""A worker's side of the channel: it reports when it is asked, asks what all others say, and notices that it is alone.

Everything runs on the event loop.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final, NamedTuple

from ..errors import Overloaded
from .channel import Ask, Channel, Look, Looked, Poll, Polled, Reported, Scrape, Scraped, Serving
from .parts import Parts
from .reports import Report

_PAGE_S: Final = 5.0
"""Longer than the supervisor waits for a worker that does not answer."""

_log: Final = logging.getLogger("consentful.server")


class Seat(NamedTuple):
    """What a worker gets from its supervisor, which keeps the other ends: a successor gets the same sockets."""

    listening: tuple[socket.socket, ...]
    """Bound to the service's addresses; connections that wait in them outlive the worker."""
    channel: socket.socket


async def _no_parts() -> Parts:
    return {}


class Worker:
    """A worker's channel to its supervisor.

    `report` returns what the worker has counted until now, and `look` tries its parts, which may take seconds.
    """

    def __init__(self, channel: Channel, report: Callable[[], Report] = list) -> None:
        self._channel = channel
        self.report = report
        self.look: Callable[[], Awaitable[Parts]] = _no_parts
        self._looking = set[asyncio.Task[None]]()
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}

    async def answer(self) -> None:
        """Answer the supervisor until it is gone."""
        while (message := await self._channel.receive()) is not None:
            match message:
                case Ask(number):
                    self._channel.send(Reported(number, self.report()))
                case Look(number):  # beside the other answers: a store that hangs is no event loop that does
                    task = asyncio.create_task(self._look(number))
                    self._looking.add(task)
                    task.add_done_callback(self._looking.discard)
                case Scraped(number, answer) | Polled(number, answer):
                    waiting = self._asked.get(number)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(answer)
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
        return await self._answer_to(Scrape(next(self._numbers)))

    async def joined_parts(self) -> Parts:
        """Return which parts of all workers are ready. Of one that does not answer in a second, what it said before.

        Raises:
            Overloaded: If the supervisor does not answer.
        """
        return await self._answer_to(Poll(next(self._numbers)))

    async def leave(self) -> None:
        """Send the last report, of all that this worker ever counted, and close the channel."""
        self._channel.send(Reported(0, self.report()))
        await self._channel.close()

    async def _look(self, number: int) -> None:
        self._channel.send(Looked(number, await self.look()))

    async def _answer_to(self, question: Scrape | Poll) -> Any:
        self._asked[question.number] = asyncio.get_running_loop().create_future()
        self._channel.send(question)
        try:
            async with asyncio.timeout(_PAGE_S):
                return await self._asked[question.number]
        except TimeoutError:
            _log.error("no answer for all workers: the supervisor does not respond")
            raise Overloaded from None
        finally:
            del self._asked[question.number]
