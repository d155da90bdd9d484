"""Commitments to filter values: they bind a log entry to its values, and the values can be erased later. Pure.

    commitment = HMAC-SHA-256(salt, values)                       in the entry, and so in the chain; stays
    sealed     = AES-256-GCM(key, salt and values, commitment)    beside the log; erased with the customer

The salt is random, and only `sealed` contains it. Without `sealed`, a commitment cannot be tested against a guess, even
by someone who has the key. Without the key, `sealed` cannot be read. While both exist, `open` proves that the values
are those of the entry: the commitment is the associated data, and is computed again.

Each call creates its own salt and nonce, so calls from several threads need no lock.
"""

import hmac
import os
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_SALT_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class Commitments:
    """Commits to values, and seals them with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def make(self, values: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """Return the commitment, and the values as they are stored."""
        salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
        plain = _encode(values)
        commitment = hmac.digest(salt, plain, "sha256")
        return commitment, nonce + self._cipher.encrypt(nonce, salt + plain, commitment)

    def open(self, commitment: bytes, sealed: bytes) -> dict[str, Any] | None:
        """Return the values; None if they are not those of the commitment."""
        try:
            opened = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], commitment)
        except (InvalidTag, ValueError):
            return None
        salt, plain = opened[:_SALT_BYTES], opened[_SALT_BYTES:]
        if not hmac.compare_digest(hmac.digest(salt, plain, "sha256"), commitment):
            return None
        return msgspec.msgpack.decode(plain, type=dict[str, Any])


_encode: Final = msgspec.msgpack.Encoder(order="sorted").encode  # equal values give equal bytes
