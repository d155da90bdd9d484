"""Token buckets: how much a client may take at once, and in the long run. Pure; the caller passes the time in seconds.

A bucket is one number, the time at which it will be full again (the generic cell rate algorithm, ITU-T I.371):

    full_at = max(full_at, now) + amount / rate        tokens left = burst - (full_at - now) * rate

    now                      full_at
    │◄──────────────────────►│            take: refused if that would put full_at beyond now + burst / rate
                                          charge: never refused; the caller waits until what it owes is paid back

A bucket whose time has passed equals a new one, so it can be dropped without an effect. `Buckets` bounds their number:
when it is full it drops full buckets, and if there are none, the oldest. A client can gain a full bucket that way, but
only by as many addresses as the table has places; the limits for all clients together still hold.

There is no lock and no race: everything runs on the event loop, and no method awaits.
"""

import ipaddress
import math
from functools import lru_cache
from typing import Final

import msgspec

_REMEMBERED: Final = 50_000
_SWEEPS: Final = 8
_IPV6_SITE_BITS: Final = 64
"""One site has a whole /64 (RFC 6177), so more addresses in it cost nothing."""


class Rate(msgspec.Struct, frozen=True):
    """`burst` at once, `per_second` in the long run."""

    burst: float
    per_second: float


class Bucket:
    """The bucket of one client; full at first."""

    __slots__ = ("_full_at", "_rate")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._full_at = -math.inf

    def take(self, now: float, amount: float = 1.0) -> float:
        """Take the amount and return 0, or take nothing and return the seconds to wait.

        An amount over the burst is granted by a full bucket, which is then empty for correspondingly longer.
        """
        rate = self._rate
        full_at = max(self._full_at, now)
        wait_s = full_at - now + (min(amount, rate.burst) - rate.burst) / rate.per_second
        if wait_s > 1e-9:  # less is a rounding error
            return wait_s
        self._full_at = full_at + amount / rate.per_second
        return 0.0

    def charge(self, now: float, amount: float) -> float:
        """Take the amount, even if less is left; return the seconds until the debt is paid back."""
        begin = self._full_at if self._full_at > now else now  # what `max` returns, in a third of its time
        self._full_at = begin + amount / self._rate.per_second
        return self.owed(now)

    def owed(self, now: float) -> float:
        """Return the seconds until the debt is paid back; 0 without one."""
        rate = self._rate
        owed_s = self._full_at - now - rate.burst / rate.per_second
        return owed_s if owed_s > 1e-9 else 0.0

    def is_full(self, now: float) -> bool:
        """Return whether the bucket is full again."""
        return self._full_at <= now


class Buckets:
    """One bucket for each client by name; at most `most` of them."""

    def __init__(self, rate: Rate, most: int = _REMEMBERED) -> None:
        self._rate = rate
        self._most = most
        self._buckets: dict[str, Bucket] = {}
        self._until_sweep = 0

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: str, now: float, amount: float = 1.0) -> float:
        """Take from the client's bucket; see `Bucket.take`."""
        return self._of(client, now).take(now, amount)

    def charge(self, client: str, now: float, amount: float) -> float:
        """Take from the client's bucket; see `Bucket.charge`."""
        return self._of(client, now).charge(now, amount)

    def owed(self, client: str, now: float) -> float:
        """Return the seconds until the client's debt is paid back; see `Bucket.owed`."""
        bucket = self._buckets.get(client)
        return 0.0 if bucket is None else bucket.owed(now)

    def _of(self, client: str, now: float) -> Bucket:
        bucket = self._buckets.get(client)
        if bucket is None:
            self._make_room(now)
            bucket = self._buckets[client] = Bucket(self._rate)
        return bucket

    def _make_room(self, now: float) -> None:
        if self._until_sweep == 0:  # a sweep examines all buckets, so only every few thousand new clients
            self._buckets = {client: bucket for client, bucket in self._buckets.items() if not bucket.is_full(now)}
            self._until_sweep = max(1, self._most // _SWEEPS)
        self._until_sweep -= 1
        if len(self._buckets) >= self._most:
            del self._buckets[next(iter(self._buckets))]  # the client that came first


@lru_cache(maxsize=4096)  # parsing an address costs as much as all else that an open is counted with
def client_of(address: str | None) -> str:
    """Return the part of an address that identifies a client: all of it, or the first 64 bits of an IPv6 address."""
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    # A dual-stack socket shows IPv4 clients as ::ffff:192.0.2.1: each is a client of its own.
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, _IPV6_SITE_BITS), strict=False))
