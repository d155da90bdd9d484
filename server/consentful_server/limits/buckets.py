"""Token buckets: how much of something a client may have at once, and in the long run. Pure: told the time in seconds.

A bucket is the moment at which it will be full again, one number (the generic cell rate algorithm); so one that was
full is like one that was never there, and can be forgotten.
"""

import ipaddress
import math
from typing import Final

import msgspec

_REMEMBERED: Final = 50_000
_FORGOTTEN_PARTS: Final = 8
_IPV6_SITE_BITS: Final = 64
"""One site has a whole /64 (RFC 6177): an address of it more costs nothing."""


class Rate(msgspec.Struct, frozen=True):
    """`burst` at once, `per_second` in the long run."""

    burst: float
    per_second: float


class Bucket:
    """What one client has left; full at first."""

    __slots__ = ("_full_at", "_rate")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._full_at = -math.inf

    def take(self, now: float, amount: float = 1.0) -> float:
        """Take the amount and return 0, or take nothing and return after how many seconds to ask again.

        More than the burst is given too, by a full bucket; it is then empty for as long as that is worth.
        """
        rate = self._rate
        full_at = max(self._full_at, now)
        wait_s = full_at - now + (min(amount, rate.burst) - rate.burst) / rate.per_second
        if wait_s > 1e-9:  # what rounding leaves
            return wait_s
        self._full_at = full_at + amount / rate.per_second
        return 0.0

    def charge(self, now: float, amount: float) -> float:
        """Take the amount, even more than is left, and return after how many seconds nothing is owed any more."""
        rate = self._rate
        self._full_at = max(self._full_at, now) + amount / rate.per_second
        owed_s = self._full_at - now - rate.burst / rate.per_second
        return owed_s if owed_s > 1e-9 else 0.0

    def is_full(self, now: float) -> bool:
        return self._full_at <= now


class Buckets:
    """A bucket for each client that took something lately, by any name for it. Their number is bounded.

    Where so many are in use that a place must be made, the client that came first gets a full bucket again: beside
    a limit for each client there is one for all of them.
    """

    def __init__(self, rate: Rate, most: int = _REMEMBERED) -> None:
        self._rate = rate
        self._most = most
        self._buckets: dict[str, Bucket] = {}
        self._until_forgetting = 0

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: str, now: float, amount: float = 1.0) -> float:
        """Take from the client's bucket, as `Bucket.take` does."""
        return self._of(client, now).take(now, amount)

    def charge(self, client: str, now: float, amount: float) -> float:
        """Take from the client's bucket, as `Bucket.charge` does."""
        return self._of(client, now).charge(now, amount)

    def _of(self, client: str, now: float) -> Bucket:
        bucket = self._buckets.get(client)
        if bucket is None:
            self._make_room(now)
            bucket = self._buckets[client] = Bucket(self._rate)
        return bucket

    def _make_room(self, now: float) -> None:
        if self._until_forgetting == 0:  # rarely: it looks at all of them
            self._buckets = {client: bucket for client, bucket in self._buckets.items() if not bucket.is_full(now)}
            self._until_forgetting = max(1, self._most // _FORGOTTEN_PARTS)
        self._until_forgetting -= 1
        if len(self._buckets) >= self._most:
            del self._buckets[next(iter(self._buckets))]


def client_of(address: str | None) -> str:
    """Return what tells clients apart by their address: all of it, or an IPv6 site's first 64 bits."""
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, _IPV6_SITE_BITS), strict=False))
