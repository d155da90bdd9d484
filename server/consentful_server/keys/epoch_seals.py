"""Seals that end with their epoch: each value has its own key, and no rotation ever wraps that key again. Pure.

    sealed = wrapped key (64 bytes, see `vault`) | seal

When the master key of the epoch is destroyed, no copy of the value opens any more: not here, not in a backup, not in a
freed block of the disk.
"""

from typing import Final

from .vault import WRAPPED_BYTES, Unopenable, Vault, epoch_of

_NAME: Final = "epoch seal/"
"""The slash keeps these names apart from ids of dialogs, which have none."""


class EpochSeals:
    """Seals values under keys of the present epoch."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, plain: bytes, bound: bytes) -> bytes:
        """Return the plaintext, sealed and bound to `bound`, which must be unique."""
        key, name = self._vault.new_key(), _NAME + bound.hex()
        return self._vault.wrap(key, name) + self._vault.seal(key, "values", plain, name, bound)

    def open(self, sealed: bytes, bound: bytes) -> bytes | None:
        """Return the plaintext; None if the seal was altered or its epoch has ended."""
        name = _NAME + bound.hex()
        try:
            key = self._vault.unwrap(sealed[:WRAPPED_BYTES], name)
            return self._vault.open(key, "values", sealed[WRAPPED_BYTES:], name, bound)
        except Unopenable:
            return None

    def epoch_of(self, sealed: bytes) -> int:
        """Return the epoch with which the seal ends."""
        return epoch_of(sealed)

    def has_ended(self, sealed: bytes) -> bool:
        """Return whether the seal's epoch has ended, so that nothing opens it."""
        return self._vault.has_ended(epoch_of(sealed))
