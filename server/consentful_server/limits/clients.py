"""What one client may take of this process: opens, frames, bytes, and dialogs at a time.

A client is known by two names, its address and its credential, and each of them has a share: a key that leaked cannot
take more by coming from everywhere, nor an address by trying many keys.
"""

import math
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from ..clock import Clock
from ..errors import TooOften
from ..settings import Settings
from .buckets import Buckets, Rate, client_of

_AT_ONCE_S: Final = 10
"""A share may be taken ahead by so much: a deploy has every dialog come back, and say everything again."""


def by_address(address: str | None) -> str:
    return f"address {client_of(address)}"


def by_credential(owner: str) -> str:
    return f"credential {owner}"


class Clients:
    """Keeps each client to its share."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._opens = _shares(settings.opens_per_second)
        self._frames = _shares(settings.frames_per_second)
        self._bytes = _shares(settings.bytes_per_second)
        self._most_dialogs = settings.dialogs_per_client
        self._dialogs = Counter[str]()

    def admit(self, client: str) -> None:
        """See that the client may open a connection: not if it has opened too many, nor while it owes for others.

        Raises:
            TooOften: If it may not yet.
        """
        now = self._clock.monotonic()
        wait_s = self._owed(client, now) or self._opens.take(client, now)
        if wait_s:
            raise TooOften(math.ceil(wait_s))
        if self._dialogs[client] >= self._most_dialogs:
            raise TooOften

    @contextmanager
    def hold(self, *names: str) -> Generator[None]:
        """Count a dialog of the client's until the block ends."""
        self._dialogs.update(names)
        try:
            yield
        finally:
            for name in names:
                self._dialogs[name] -= 1
                if not self._dialogs[name]:
                    del self._dialogs[name]

    def charge(self, names: tuple[str, ...], frames: int, size: int) -> None:
        """Take from the client's share what it has sent already.

        Raises:
            TooOften: If that was more than it had; it owes the rest, and has to wait.
        """
        now = self._clock.monotonic()
        wait_s = 0.0
        for name in names:
            wait_s = max(wait_s, self._frames.charge(name, now, frames), self._bytes.charge(name, now, size))
        if wait_s:
            raise TooOften(math.ceil(wait_s))

    def _owed(self, client: str, now: float) -> float:
        return max(self._frames.charge(client, now, 0), self._bytes.charge(client, now, 0))


def _shares(per_second: float) -> Buckets:
    return Buckets(Rate(burst=per_second * _AT_ONCE_S, per_second=per_second))
