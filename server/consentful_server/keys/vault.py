"""The vault: every dialog is sealed under a key of its own, so destroying the key erases the dialog.

AES-256-GCM throughout. A dialog's random key never encrypts anything itself: HKDF-Expand (RFC 5869 §2.3; the
key is uniform already, §3.3) gives one subkey for each use. The key is stored wrapped under a master key.
Everything sealed is bound (associated data) to the format's version, the deployment, the field, the dialog's id
and the digest of its consent record: rows cannot be swapped, nor purposes edited.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Field: TypeAlias = Literal["texts", "customer", "metadata"]

VERSION: Final = 1
KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_EPOCH_BYTES: Final = 4
WRAPPED_BYTES: Final = _EPOCH_BYTES + _NONCE_BYTES + KEY_BYTES + 16
"""Length of every wrapped key: epoch, nonce, key, tag. It never changes, so that a key is overwritten in place."""

SHREDDED: Final = bytes(WRAPPED_BYTES)
"""What is left of a key that was destroyed."""

Random: TypeAlias = Callable[[int], bytes]
Masters: TypeAlias = Callable[[], Mapping[int, bytes]]
"""Returns every master that there is now."""


class Unopenable(Exception):  # noqa: N818 - named for what it says of the seal
    """The key was destroyed, or what is sealed, its record or its place was altered."""


class DialogKey:
    """One dialog's key. It lives as long as the call that needs it."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "DialogKey(…)"

    def subkey(self, use: str) -> bytes:
        """Return 32 bytes for one use only (HKDF-Expand with a single block)."""
        return hmac.digest(self._key, b"consentful/1/" + use.encode() + b"\x01", "sha256")

    def digest(self, content: bytes) -> bytes:
        """Return the keyed digest of the content: comparable while the key lives, meaningless after."""
        return hmac.digest(self.subkey("content"), content, "sha256")

    def withdrawal_code(self) -> str:
        """Return the customer's code: 128 bits in base32 (RFC 4648 §6), in groups that can be read aloud."""
        code = base64.b32encode(self.subkey("withdrawal")[:16]).decode().rstrip("=")
        return "-".join(code[start : start + 5] for start in range(0, len(code), 5))


def withdrawal_hash(code: str) -> bytes:
    """Return what is stored of a withdrawal code. Spaces, hyphens and case do not matter."""
    letters = "".join(code.split()).replace("-", "").upper()
    return hashlib.sha256(b"consentful/1/withdrawal-code/" + letters.encode()).digest()


def epoch_of(wrapped: bytes) -> int:
    """Return the epoch that a key is wrapped under."""
    return int.from_bytes(wrapped[:_EPOCH_BYTES], "big")


class Vault:
    """Makes, wraps and unwraps dialog keys, and seals and opens with them.

    `masters` maps an epoch to its 32-byte wrapping key; new keys are wrapped under the latest. A key under an unknown
    one makes it `look` again: another process may have begun an epoch.
    """

    def __init__(
        self,
        deployment: bytes,
        masters: Mapping[int, bytes],
        random: Random = os.urandom,
        look: Masters = dict[int, bytes],
    ) -> None:
        self._deployment = deployment
        self._random = random
        self._look = look
        self.renew(masters)

    def renew(self, masters: Mapping[int, bytes]) -> None:
        """Have these masters from now on, and no others."""
        self._masters = {epoch: AESGCM(master) for epoch, master in masters.items()}
        self._epoch = max(masters)

    def new_key(self) -> DialogKey:
        return DialogKey(self._random(KEY_BYTES))

    def wrap(self, key: DialogKey, dialog_id: str, least: int = 0) -> bytes:
        """Return the key as it is stored: `WRAPPED_BYTES` long, readable only with the master.

        Raises:
            Unopenable: If it must be under the master of `least` at least, and there is none.
        """
        epoch = max(self._epoch, least)
        master = self._master(epoch)
        if master is None:
            raise Unopenable(dialog_id)
        nonce = self._random(_NONCE_BYTES)
        prefix = epoch.to_bytes(_EPOCH_BYTES, "big")
        return prefix + nonce + master.encrypt(nonce, key._key, self._bound("key", dialog_id, prefix))  # pyright: ignore[reportPrivateUsage]

    def rewrap(self, wrapped: bytes, dialog_id: str, epoch: int) -> bytes:
        """Return the same key under the master of this epoch or a later one, at the same length.

        Raises:
            Unopenable: As `unwrap` does.
        """
        return self.wrap(self.unwrap(wrapped, dialog_id), dialog_id, epoch)

    def unwrap(self, wrapped: bytes, dialog_id: str) -> DialogKey:
        """Return the dialog's key.

        Raises:
            Unopenable: If it was destroyed, its master is gone, or it belongs to another dialog.
        """
        epoch, sealed = wrapped[:_EPOCH_BYTES], wrapped[_EPOCH_BYTES:]
        master = None if wrapped == SHREDDED else self._master(epoch_of(wrapped))
        if master is None:
            raise Unopenable(dialog_id)
        return DialogKey(_open(master, sealed, self._bound("key", dialog_id, epoch)))

    def seal(self, key: DialogKey, field: Field, plain: bytes, dialog_id: str, record: bytes) -> bytes:
        """Return the bytes sealed for this field of this dialog under this consent record (its digest)."""
        nonce = self._random(_NONCE_BYTES)
        return nonce + AESGCM(key.subkey(field)).encrypt(nonce, plain, self._bound(field, dialog_id, record))

    def open(self, key: DialogKey, field: Field, sealed: bytes, dialog_id: str, record: bytes) -> bytes:
        """Return what was sealed.

        Raises:
            Unopenable: If the seal, the dialog's id or its consent record is not what it was.
        """
        return _open(AESGCM(key.subkey(field)), sealed, self._bound(field, dialog_id, record))

    def _master(self, epoch: int) -> AESGCM | None:
        """Return the master of an epoch; one later than all that are known is looked for."""
        if epoch > self._epoch and epoch in (masters := self._look()):
            self._masters = self._masters | {epoch: AESGCM(masters[epoch])}
        return self._masters.get(epoch)

    def _bound(self, field: str, dialog_id: str, record: bytes) -> bytes:
        return _encode([VERSION, self._deployment, field, dialog_id, record])


_encode: Final = msgspec.msgpack.Encoder().encode


def _open(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise Unopenable from None
