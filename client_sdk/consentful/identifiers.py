"""Identifiers that clients and servers can create."""

import os
import time
from typing import Final
from uuid import UUID


def uuid7(milliseconds: int | None = None, random: bytes | None = None) -> UUID:
    """Return a UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds since the epoch, then 74 random bits.

    Both come from the system unless given. Of `random` (10 bytes) the first 6 bits are not used.
    """
    return UUID(int=_bits(milliseconds, random))


def new_id() -> str:
    """Return a new UUIDv7 as text (RFC 9562 §4), in a tenth of the time that `str(uuid7())` takes."""
    now = f"{time.time_ns() // 1_000_000:012x}"
    random = os.urandom(10).hex()
    return f"{now[:8]}-{now[8:]}-7{random[1:4]}-{_VARIANT[random[4]]}{random[5:8]}-{random[8:]}"


_VARIANT: Final = dict(zip("0123456789abcdef", 4 * "89ab", strict=True))
"""A random digit as the one that has the variant (`0b10`, RFC 9562 §4.1) in its first two bits."""


def _bits(milliseconds: int | None, random: bytes | None) -> int:
    now = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
    bits = int.from_bytes(os.urandom(10) if random is None else random, "big")
    high, low = bits >> 62 & 0xFFF, bits & (1 << 62) - 1
    return now << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low
