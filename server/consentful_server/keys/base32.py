"""Base32 (RFC 4648 §6) of 128 bits, without padding, in half of the time that the standard library takes in Python."""

from typing import Final

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]


def base32(data: bytes) -> str:
    """Return 16 bytes as 26 letters and digits."""
    bits = int.from_bytes(data, "big") << 2  # 26 letters have 130 bits
    # Written out: a loop takes half as long again, and each stored dialog has three.
    return (
        _PAIRS[bits >> 120]
        + _PAIRS[bits >> 110 & 1023]
        + _PAIRS[bits >> 100 & 1023]
        + _PAIRS[bits >> 90 & 1023]
        + _PAIRS[bits >> 80 & 1023]
        + _PAIRS[bits >> 70 & 1023]
        + _PAIRS[bits >> 60 & 1023]
        + _PAIRS[bits >> 50 & 1023]
        + _PAIRS[bits >> 40 & 1023]
        + _PAIRS[bits >> 30 & 1023]
        + _PAIRS[bits >> 20 & 1023]
        + _PAIRS[bits >> 10 & 1023]
        + _PAIRS[bits & 1023]
    )
