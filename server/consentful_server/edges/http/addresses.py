"""The client's address: the peer's, or the one in the X-Forwarded-For headers of trusted proxies."""

import ipaddress
from collections.abc import Iterable
from typing import Final

from aiohttp import hdrs

from ...settings import Network, Settings
from .head import Head

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_SEPARATOR: Final = ","


def address_of(head: Head, settings: Settings) -> str | None:
    """Return the client's address, skipping the proxies of `--trusted-proxy`."""
    trusted = settings.trusted_networks
    if not trusted:
        return head.remote
    header = _SEPARATOR.join(head.headers.getall(hdrs.X_FORWARDED_FOR, []))
    return past_proxies(head.remote, header.split(_SEPARATOR), trusted)


def is_from_proxy(head: Head, settings: Settings) -> bool:
    """Return whether the request comes from a proxy of `--trusted-proxy`."""
    peer = _parsed(head.remote)
    return peer is not None and any(peer in network for network in settings.trusted_networks)


def past_proxies(peer: str | None, forwarded: Iterable[str], trusted: Iterable[Network]) -> str | None:
    """Return the first address, from the right, that is not a trusted proxy's.

    Each proxy appends the address of its own client. So only entries that trusted proxies appended are reliable; a
    client can write anything to the left of them.
    """
    networks = tuple(trusted)
    address = peer
    for hop in reversed(tuple(forwarded)):
        ip = _parsed(address)
        if ip is None or not any(ip in network for network in networks):
            break
        client = _parsed(hop)
        if client is None:  # the proxy names no address: treat the proxy as the client
            break
        address = str(client)
    return address


def _parsed(address: str | None) -> _Address | None:
    """Return the address without port and zone; None if it is not an IP address."""
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
