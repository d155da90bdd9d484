"""Pseudonyms: what data scientists see instead of a customer id (GDPR art. 4(5))."""

import base64
import hmac
from typing import Final

PREFIX: Final = "cus_"
PATTERN: Final = rf"^{PREFIX}[a-z2-7]{{26}}$(?!\n)"
"""A pseudonym as a regular expression."""

_BYTES: Final = 16


class Pseudonyms:
    """Names customers by a keyed hash (HMAC-SHA-256): the same customer, the same name; no way back without the key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, customer_id: str) -> str:
        """Return `cus_` and 26 letters and digits (128 bits, base32)."""
        digest = hmac.digest(self._key, customer_id.encode(), "sha256")[:_BYTES]
        return PREFIX + base64.b32encode(digest).decode().rstrip("=").lower()
