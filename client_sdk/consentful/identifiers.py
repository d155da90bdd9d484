"""Identifiers that clients and servers can create."""

import os
import time
from uuid import UUID


def uuid7(milliseconds: int | None = None, random: bytes | None = None) -> UUID:
    """Return a UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds since the epoch, then 74 random bits.

    Both come from the system unless given. Of `random` (10 bytes) the first 6 bits are not used.
    """
    now = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
    bits = int.from_bytes(os.urandom(10) if random is None else random, "big")
    high, low = bits >> 62 & 0xFFF, bits & (1 << 62) - 1
    return UUID(int=now << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)
