"""Limits of one client: opened connections, frames, bytes, live dialogs, and streams.

A client has two names, its address and its credential, each with its own limits: a leaked key cannot take more from
many addresses, and an address cannot take more with many keys.

    admit     before the upgrade     refused if it opened too many, owes frames or bytes, or holds too many dialogs
    hold      after the upgrade      counts the dialog, until `release`, at the connection's end
    stream    while a stream runs    refused if the client has too many, or all clients together
    charge    after each read        what was received is charged even if it is too much; then the client owes it

A limit is the service's. With several workers each has an equal share of it, and the kernel spreads a client's
connections evenly over them. So a client never gets more than the limit, and one with few connections may get less.

All methods run on the event loop and do not await, but between `admit` and `hold` the edge authenticates the token.

(R1) A client opens connections at the same time: all of them may pass `admit` before any is counted by `hold`. The rate
     of opens bounds how many these can be.
"""

import math
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

from ..clock import Clock
from ..errors import Overloaded, TooOften
from ..settings import Settings
from .buckets import Buckets, Rate, client_of

MOST_STREAMS: Final = 64
"""Streams of all clients at a time, so that their blocks fit into the memory that a process has beside its dialogs."""

_AT_ONCE_S: Final = 10
"""Seconds of its rate that a client may use at once: after a deployment every dialog reconnects and replays."""


def by_address(address: str | None) -> str:
    """Return the name of a client by its address."""
    return f"address {client_of(address)}"


def by_credential(owner: str) -> str:
    """Return the name of a client by its credential."""
    return f"credential {owner}"


class Clients:
    """The limits of all clients: the share of this process."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        workers = settings.workers
        self._opens = _shares(settings.opens_per_second / workers)
        self._frames = _shares(settings.frames_per_second / workers)
        self._bytes = _shares(settings.bytes_per_second / workers)
        self._most_dialogs = math.ceil(settings.dialogs_per_client / workers)
        self._dialogs = Counter[str]()
        self._most_streams = math.ceil(settings.streams_per_client / workers)
        self._streams = Counter[str]()

    def admit(self, client: str) -> None:
        """Check that the client may open a connection.

        Raises:
            TooOften: If it opened too many, owes for what it sent, or holds too many dialogs.
        """
        now = self._clock.monotonic()
        # First: a client that owes does not use up an open.
        _refuse_debt(self._frames.owed(client, now), self._bytes.owed(client, now))
        wait_s = self._opens.take(client, now)
        if wait_s:
            raise TooOften(math.ceil(wait_s), limit="opens_per_second")
        if self._dialogs[client] >= self._most_dialogs:  # (R1)
            raise TooOften(limit="dialogs_per_client")

    def hold(self, *names: str) -> None:
        """Count a dialog for these names."""
        for name in names:
            self._dialogs[name] += 1

    def release(self, *names: str) -> None:
        """Count one dialog less for these names."""
        _release(self._dialogs, names)

    @property
    def streams(self) -> int:
        """Number of streams that run."""
        return self._streams.total()

    @contextmanager
    def stream(self, client: str) -> Generator[None]:
        """Count a stream until the block ends: each holds a block of texts while its reader takes it.

        Raises:
            TooOften: If the client has too many.
            Overloaded: If all clients together have.
        """
        if self._streams[client] >= self._most_streams:
            raise TooOften(limit="streams_per_client")
        if self.streams >= MOST_STREAMS:
            raise Overloaded(limit="streams")
        self._streams.update([client])
        try:
            yield
        finally:
            _release(self._streams, [client])

    def charge(self, names: tuple[str, ...], frames: int, size: int) -> None:
        """Charge these names for what they have sent.

        Raises:
            TooOften: If that is more than they had left; the client must wait until the debt is paid back.
        """
        now = self._clock.monotonic()
        frames_s = max([self._frames.charge(name, now, frames) for name in names])
        _refuse_debt(frames_s, max([self._bytes.charge(name, now, size) for name in names]))


def _refuse_debt(frames_s: float, bytes_s: float) -> None:
    """Check that nothing is owed; the debts are the seconds until they are paid back.

    Raises:
        TooOften: If something is.
    """
    if frames_s or bytes_s:
        limit = "frames_per_second" if frames_s >= bytes_s else "bytes_per_second"
        raise TooOften(math.ceil(max(frames_s, bytes_s)), limit=limit)


def _release(counter: Counter[str], names: Sequence[str]) -> None:
    for name in names:
        counter[name] -= 1
        # Names without any are removed, or the counter would grow with every client that ever came.
        if not counter[name]:
            del counter[name]


def _shares(per_second: float) -> Buckets:
    return Buckets(Rate(burst=per_second * _AT_ONCE_S, per_second=per_second))
