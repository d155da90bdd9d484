"""Whose address a request comes from: the peer's, or the one that trusted proxies name."""

import ipaddress
from collections.abc import Iterable
from typing import Final

from aiohttp import hdrs, web

from ...settings import Network
from .pipeline import SERVICE

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_SEPARATOR: Final = ","


def client_address(request: web.Request) -> str | None:
    """Return the address that the request comes from, past the proxies of `--trusted-proxy`."""
    trusted = request.app[SERVICE].settings.trusted_networks
    if not trusted:
        return request.remote
    header = _SEPARATOR.join(request.headers.getall(hdrs.X_FORWARDED_FOR, []))
    return past_proxies(request.remote, header.split(_SEPARATOR), trusted)


def past_proxies(peer: str | None, named: Iterable[str], trusted: Iterable[Network]) -> str | None:
    """Return the first address, from the right, that is no trusted proxy's.

    Each proxy appends the address that it was called from. So only what trusted ones appended is true: whatever is
    left of it, the client wrote itself.
    """
    networks = tuple(trusted)
    address = peer
    for hop in reversed(tuple(named)):
        ip = _parsed(address)
        if ip is None or not any(ip in network for network in networks):
            break
        before = _parsed(hop)
        if before is None:  # a proxy that does not say: then it is the client
            break
        address = str(before)
    return address


def _parsed(address: str | None) -> _Address | None:
    """Return the address without its port and zone; None if it is none."""
    bare = (address or "").strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        ip = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip
