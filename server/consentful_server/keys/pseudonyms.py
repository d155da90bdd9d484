"""Pseudonyms: what readers see instead of a customer id (GDPR art. 4(5))."""

from typing import Final

from ..mac import Mac
from .base32 import base32

PREFIX: Final = "cus_"
PATTERN: Final = rf"^{PREFIX}[a-z2-7]{{26}}$(?!\n)"
"""The regular expression of a pseudonym. `$` alone would allow a trailing line feed."""

_BYTES: Final = 16


class Pseudonyms:
    """Maps customer ids to pseudonyms by a keyed hash (HMAC-SHA-256). Without the key there is no way back."""

    def __init__(self, key: bytes) -> None:
        self._mac = Mac(key)

    def of(self, customer_id: str) -> str:
        """Return `cus_` and 26 letters and digits (128 bits in base32), always the same for one customer."""
        return PREFIX + base32(self._mac.of(customer_id.encode())[:_BYTES]).lower()

    def mark(self, dialog_id: str, owner: str, customer: str) -> bytes:
        """Return a keyed hash (32 bytes) of one customer (pseudonym) of one credential in one dialog.

        Without the key, it cannot be linked to the pseudonym, nor to the customer's other dialogs.
        """
        # No text in UTF-8 begins with 0xFF, so no customer id has this digest as its pseudonym. Neither a dialog's id
        # nor a pseudonym can hold a line feed, so the parts cannot be shifted against each other.
        return self._mac.of(b"\xff" + "\n".join((dialog_id, customer, owner)).encode())
