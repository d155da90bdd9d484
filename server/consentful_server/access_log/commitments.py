"""Commitments: values are bound now, and told for as long as they are wanted. Pure.

A random salt keys the commitment and lies sealed with the values: once those are erased, not even the root keys tell
whether a guess is right.
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
    """Commits to values, and seals them apart."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def make(self, values: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """Return the commitment, and the values as they are stored."""
        salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
        plain = _encode(values)
        commitment = hmac.digest(salt, plain, "sha256")
        return commitment, nonce + self._cipher.encrypt(nonce, salt + plain, commitment)

    def open(self, commitment: bytes, sealed: bytes) -> dict[str, Any] | None:
        """Return the values, or None if they are not those that were committed to."""
        try:
            opened = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], commitment)
        except (InvalidTag, ValueError):
            return None
        salt, plain = opened[:_SALT_BYTES], opened[_SALT_BYTES:]
        if not hmac.compare_digest(hmac.digest(salt, plain, "sha256"), commitment):
            return None
        return msgspec.msgpack.decode(plain, type=dict[str, Any])


_encode: Final = msgspec.msgpack.Encoder(order="sorted").encode
