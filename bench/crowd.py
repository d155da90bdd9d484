"""Dialogs that stay open, and now and then all speak for some seconds."""

from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from time import sleep

from . import client
from .child import Child
from .client import Holder
from .memory import SPOKEN
from .plan import Plan

_SECONDS = 3.0
_LEAST_S = 0.5
"""On a busy machine a client may not get an ack in less."""


class Crowd:
    """Open dialogs of one server, shared by several clients."""

    def __init__(self, server: Child, holders: list[Holder]) -> None:
        self.server = server
        self._holders = holders

    def p99(self, plan: Plan) -> float:
        """Let all speak, and return how long all but 1 % of the acks take at most, of the client that waits longest."""
        for holder in self._holders:
            holder.begin_to_speak()
        sleep(max(_LEAST_S, plan.seconds(_SECONDS)))
        return max(holder.stop_speaking()["ack_p99"] for holder in self._holders)


@contextmanager
def crowd(starting: AbstractContextManager[Child], dialogs: int, every: float, *, clients: int = 1) -> Generator[Crowd]:
    """Start a server and keep so many dialogs open until the block ends; in `p99` each speaks every so many seconds."""
    with ExitStack() as running:
        server = running.enter_context(starting)
        options = SPOKEN | {"sockets": dialogs // clients, "every": every}
        holders = [running.enter_context(client.started_holding(server.port, **options)) for _ in range(clients)]
        for holder in holders:
            holder.wait_until_held()
        yield Crowd(server, holders)
