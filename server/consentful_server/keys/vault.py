"""The vault: every dialog is sealed under its own key, so destroying that key erases the dialog.

    master key of an epoch ──wraps──► the dialog's key ──HKDF──► subkeys: texts, customer, metadata, annotation,
                                                                          content, withdrawal

Seals and wrapped keys are AES-256-GCM with a random 96-bit nonce. A dialog's key is random and encrypts nothing itself:
HKDF-Expand derives one subkey for each use (RFC 5869 §2.3; without Extract, because the key is uniform, §3.3). The
associated data of a seal are the format's version, the deployment, the field, the dialog's id and the digest of its
consent record, so rows cannot be swapped and purposes cannot be edited.

    wrapped key (64 bytes)   epoch (4, big-endian) | nonce (12) | key (32) | tag (16); zeros once the key is destroyed
    seal                     nonce (12) | ciphertext | tag (16)

State: the masters by epoch, and the latest epoch, under which new keys are wrapped.

Threads: `renew` runs on the event loop; all other methods run on the event loop, the writer's thread and the readers'
threads at the same time. There is no lock: `renew` replaces the dict `_masters`, and `_master` adds one item to it,
which is atomic under the GIL.

(R1) Another process has begun an epoch: a key under a later epoch than the latest makes `_master` look the masters up
     again. A key under an earlier, destroyed one does not.
(R2) `renew` replaces the dict while another thread looks a master up: that thread adds to the old dict and uses it for
     its own call. It cannot bring a dropped master back; at worst, the same master is looked up once more.
(R3) `renew` is interrupted between its two assignments: on another thread, `wrap` takes at least the epoch that the
     store demands, so it never uses an epoch whose master is gone.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import BadKeys, StorageFailed
from ..mac import Mac
from .base32 import base32

Field: TypeAlias = Literal["texts", "customer", "metadata", "values", "annotation"]

VERSION: Final = 1
KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_EPOCH_BYTES: Final = 4
WRAPPED_BYTES: Final = _EPOCH_BYTES + _NONCE_BYTES + KEY_BYTES + 16
"""Length of every wrapped key. It never changes, so that a key can be overwritten in place."""

SHREDDED: Final = bytes(WRAPPED_BYTES)
"""A destroyed key."""

Random: TypeAlias = Callable[[int], bytes]
Masters: TypeAlias = Callable[[], Mapping[int, bytes]]
"""Returns all masters that exist now, by epoch."""


class Unopenable(Exception):  # noqa: N818 - named for what it says of the seal
    """The key was destroyed; or the seal, the consent record or the dialog's id was altered."""


class DialogKey:
    """The key of one dialog. Discard it after the call that needs it."""

    __slots__ = ("_key", "_mac")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._mac = Mac(key)

    def __repr__(self) -> str:
        return "DialogKey(…)"

    def subkey(self, use: str) -> bytes:
        """Return the 32-byte subkey for one use (HKDF-Expand with a single block)."""
        # T(1) of HKDF-Expand with info = "consentful/1/" and the use: 32 bytes are exactly one block.
        return self._mac.of(b"consentful/1/" + use.encode() + b"\x01")

    def digest(self, content: bytes) -> bytes:
        """Return the keyed digest of the content: comparable while the key exists, meaningless afterwards."""
        return Mac(self.subkey("content")).of(content)

    def withdrawal_code(self) -> str:
        """Return the customer's withdrawal code: 128 bits in base32 (RFC 4648 §6), in groups of five."""
        code = base32(self.subkey("withdrawal")[:16])
        return "-".join(code[start : start + 5] for start in range(0, len(code), 5))


def withdrawal_hash(code: str) -> bytes:
    """Return the hash of a withdrawal code, as stored. Spaces, hyphens and case are ignored."""
    letters = "".join(code.split()).replace("-", "").upper()
    return hashlib.sha256(b"consentful/1/withdrawal-code/" + letters.encode()).digest()


def epoch_of(wrapped: bytes) -> int:
    """Return the epoch under which a key is wrapped; 0 for a destroyed key."""
    return int.from_bytes(wrapped[:_EPOCH_BYTES], "big")


class Vault:
    """Creates, wraps and unwraps dialog keys; seals and opens fields with them.

    `masters` maps an epoch to its 32-byte master key. `look` returns the masters that exist now; it is called for a key
    under a later epoch.
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
        self._epoch = 0
        self.renew(masters)

    def renew(self, masters: Mapping[int, bytes]) -> None:
        """Use exactly these masters from now on.

        Raises:
            BadKeys: If the latest epoch's is not among them: the folder is gone, not the epoch. Those in use stay.
        """
        latest = max(masters, default=0)
        if latest < self._epoch:
            raise BadKeys(f"the master key of epoch {self._epoch} is missing from --keys-dir; put it back")
        self._masters = {epoch: AESGCM(master) for epoch, master in masters.items()}
        self._epoch = latest  # (R3)

    def new_key(self) -> DialogKey:
        """Return a new random key for a dialog."""
        return DialogKey(self._random(KEY_BYTES))

    def wrap(self, key: DialogKey, dialog_id: str, least: int = 0) -> bytes:
        """Return the key wrapped under the latest epoch, or `least` if that is later: `WRAPPED_BYTES` long.

        Raises:
            Unopenable: If the epoch has no master.
        """
        epoch = max(self._epoch, least)
        master = self._master(epoch)
        if master is None:
            raise Unopenable(dialog_id)
        nonce = self._random(_NONCE_BYTES)
        prefix = epoch.to_bytes(_EPOCH_BYTES, "big")
        # The epoch is bound as well, so that it cannot be altered to make another master be tried.
        return prefix + nonce + master.encrypt(nonce, key._key, self._bound("key", dialog_id, prefix))  # pyright: ignore[reportPrivateUsage]

    def rewrap(self, wrapped: bytes, dialog_id: str, epoch: int) -> bytes:
        """Return the key wrapped under this epoch or a later one, at the same length.

        Raises:
            Unopenable: As `unwrap` does.
        """
        return self.wrap(self.unwrap(wrapped, dialog_id), dialog_id, epoch)

    def unwrap(self, wrapped: bytes, dialog_id: str) -> DialogKey:
        """Return the dialog's key.

        Raises:
            Unopenable: If it was destroyed, its master was destroyed, or it belongs to another dialog.
        """
        epoch, sealed = wrapped[:_EPOCH_BYTES], wrapped[_EPOCH_BYTES:]
        # Epoch 0 has no master either, but a destroyed key should not depend on that.
        master = None if wrapped == SHREDDED else self._master(epoch_of(wrapped))
        if master is None:
            raise Unopenable(dialog_id)
        return DialogKey(_open(master, sealed, self._bound("key", dialog_id, epoch)))

    def seal(self, key: DialogKey, field: Field, plain: bytes, dialog_id: str, record: bytes) -> bytes:
        """Return the plaintext sealed for this field of this dialog; `record` is the digest of its consent record."""
        nonce = self._random(_NONCE_BYTES)
        return nonce + AESGCM(key.subkey(field)).encrypt(nonce, plain, self._bound(field, dialog_id, record))

    def open(self, key: DialogKey, field: Field, sealed: bytes, dialog_id: str, record: bytes) -> bytes:
        """Return the plaintext of a seal.

        Raises:
            Unopenable: If the seal, the dialog's id or its consent record was altered.
        """
        return _open(AESGCM(key.subkey(field)), sealed, self._bound(field, dialog_id, record))

    def has_ended(self, epoch: int) -> bool:
        """Return whether this epoch is over and its master destroyed."""
        return 0 < epoch < self._epoch and self._master(epoch) is None

    def _master(self, epoch: int) -> AESGCM | None:
        """Return the master of an epoch; None if it does not exist."""
        known = self._masters
        if epoch > self._epoch and epoch not in known and epoch in (masters := self._masters_now()):  # (R1)
            known[epoch] = AESGCM(masters[epoch])  # (R2)
        return known.get(epoch)

    def _masters_now(self) -> Mapping[int, bytes]:
        try:
            return self._look()
        except BadKeys:  # a key management service that does not respond: what is asked for may succeed later
            raise StorageFailed from None

    def _bound(self, field: str, dialog_id: str, record: bytes) -> bytes:
        return _encode([VERSION, self._deployment, field, dialog_id, record])


_encode: Final = msgspec.msgpack.Encoder().encode


def _open(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise Unopenable from None
