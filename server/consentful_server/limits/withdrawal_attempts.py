"""Limits on attempts at withdrawal codes. Withdrawing needs no account (GDPR art. 7(3)), so everyone may try codes."""

import math
from typing import Final

from ..clock import Clock
from ..errors import TooOften
from .buckets import Bucket, Buckets, Rate, client_of

_EACH: Final = Rate(burst=60, per_second=1)
"""Enough for a household behind one address, and for a chatbot that passes on its customers' codes."""

_ALL: Final = Rate(burst=1_000, per_second=100)
"""Codes have 128 bits, which nobody guesses: this protects the store, which looks up each of them."""


class WithdrawalAttempts:
    """Limits attempts at withdrawal codes, from one address and from all of them together."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._each = Buckets(_EACH)
        self._all = Bucket(_ALL)

    def admit(self, address: str | None) -> None:
        """Check that one more code may be tried from this address.

        Raises:
            TooOften: If it may not yet.
        """
        now = self._clock.monotonic()
        # The address first: one that is refused takes nothing from the limit for all.
        wait_s = self._each.take(client_of(address), now) or self._all.take(now)
        if wait_s:
            raise TooOften(math.ceil(wait_s), limit="withdrawals")
