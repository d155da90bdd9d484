"""Withdrawal codes are anybody's to try, so that taking a consent back needs no account; but not without end."""

import math
from typing import Final

from ..clock import Clock
from ..errors import TooOften
from .buckets import Bucket, Buckets, Rate, client_of

_EACH: Final = Rate(burst=60, per_second=1)
"""Neither a household behind one address nor a chatbot that passes its customers' codes on meets this."""

_ALL: Final = Rate(burst=1_000, per_second=100)
"""Codes have 128 bits, which nobody guesses: this is for the store, which looks each of them up."""


class WithdrawalAttempts:
    """Lets so many codes be tried, from one address and from all of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._each = Buckets(_EACH)
        self._all = Bucket(_ALL)

    def admit(self, address: str | None) -> None:
        """See that one more code may be tried from this address.

        Raises:
            TooOften: If it may not yet.
        """
        now = self._clock.monotonic()
        wait_s = self._each.take(client_of(address), now) or self._all.take(now)
        if wait_s:
            raise TooOften(math.ceil(wait_s))
