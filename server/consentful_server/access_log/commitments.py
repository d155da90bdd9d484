"""Commitments to filter values: they bind a log entry to its values, and the values can be erased later. Pure.

    commitment = HMAC-SHA-256(salt, values)                 in the entry, and so in the chain; stays
    sealed     = salt and values, bound to the commitment   beside the log; erased

Values that can tell of a person (words, a customer, a dialog, names of chatbots and languages) are sealed under a
key that ends with its epoch: afterwards they open nowhere, also not from a copy. `LASTING` names the other filters;
where all filters of an entry are among them, its values are sealed under a key that stays:

    sealed     = AES-256-GCM(key, salt and values, commitment)

The names are in the chain, so nobody can pass one kind off as the other.

The salt is random, and only `sealed` contains it. Without `sealed`, a commitment cannot be tested against a guess, even
by someone who has the key. Without the key, `sealed` cannot be read. While both exist, `open` proves that the values
are those of the entry: the commitment is the associated data, and is computed again.

Each call creates its own salt and nonce, so calls from several threads need no lock.
"""

import hmac
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LASTING: Final = frozenset({"role", "purpose", "since", "until", "include", "seed", "watermark", "who", "action"})
"""Filters whose values are times, or words that operators or we chose: they tell of no customer."""

_SALT_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class Seals(Protocol):
    """Seals that end: afterwards nothing opens them. `keys.epoch_seals` has them end with the master key's epoch."""

    def seal(self, plain: bytes, bound: bytes) -> bytes:
        """Return the plaintext, sealed and bound to `bound`."""
        ...

    def open(self, sealed: bytes, bound: bytes) -> bytes | None:
        """Return the plaintext; None if the seal was altered or has ended."""
        ...

    def epoch_of(self, sealed: bytes) -> int:
        """Return the epoch with which the seal ends."""
        ...

    def has_ended(self, sealed: bytes) -> bool: ...


class Committed(msgspec.Struct, frozen=True):
    """A commitment, the values as they are stored, and the epoch with which they end; None if they last."""

    commitment: bytes
    sealed: bytes
    epoch: int | None


class Commitments:
    """Commits to values, and seals them: under `key` those that last, with `seals` all others."""

    def __init__(self, key: bytes, seals: Seals) -> None:
        self._cipher = AESGCM(key)
        self._seals = seals

    def make(self, values: Mapping[str, Any]) -> Committed:
        """Return a new commitment to the values."""
        salt, plain = os.urandom(_SALT_BYTES), _encode(values)
        commitment = hmac.digest(salt, plain, "sha256")
        if lasts(values):
            nonce = os.urandom(_NONCE_BYTES)
            return Committed(commitment, nonce + self._cipher.encrypt(nonce, salt + plain, commitment), None)
        sealed = self._seals.seal(salt + plain, commitment)
        return Committed(commitment, sealed, self._seals.epoch_of(sealed))

    def open(self, names: Iterable[str], commitment: bytes, sealed: bytes) -> dict[str, Any] | None:
        """Return the values of filters with these names; None if they have ended, or are not the commitment's."""
        opened = self._opened(commitment, sealed) if lasts(names) else self._seals.open(sealed, commitment)
        if opened is None:
            return None
        salt, plain = opened[:_SALT_BYTES], opened[_SALT_BYTES:]
        if not hmac.compare_digest(hmac.digest(salt, plain, "sha256"), commitment):
            return None
        return msgspec.msgpack.decode(plain, type=dict[str, Any])

    def holds(self, names: Iterable[str], commitment: bytes, sealed: bytes) -> bool:
        """Return whether the values are the commitment's, as far as it can be told: nothing is known of ended ones."""
        has_ended = not lasts(names) and self._seals.has_ended(sealed)
        return has_ended or self.open(names, commitment, sealed) is not None

    def _opened(self, commitment: bytes, sealed: bytes) -> bytes | None:
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], commitment)
        except (InvalidTag, ValueError):
            return None


def lasts(names: Iterable[str]) -> bool:
    """Return whether the values of these filters last."""
    return LASTING.issuperset(names)


_encode: Final = msgspec.msgpack.Encoder(order="sorted").encode  # equal values give equal bytes
