"""Sealing annotations under the key of their dialog, and opening them again. Pure.

A seal is bound to the dialog's id, the seq and the annotator, so annotations cannot be swapped between dialogs,
messages or people. It is not bound to the consent record: a narrowed consent leaves the seals as they are, and what a
reader may see follows from the dialog's own seals, one of which is opened first (`archive.opening`).
"""

import hashlib
from typing import Final

import msgspec

from ..clock import from_micros
from ..keys.vault import DialogKey, Vault
from .remark import WHOLE, KeptAnnotation, Remark
from .store import Anchor, SealedAnnotation


class _Written(msgspec.Struct, frozen=True, array_like=True):
    """The plaintext of a seal. `written_at` is in microseconds since the epoch."""

    remark: Remark
    written_at: int

    def __repr__(self) -> str:
        return "_Written(…)"


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Written).decode


def seal(
    vault: Vault, key: DialogKey, dialog_id: str, anchor: Anchor, remark: Remark, written_at: int
) -> SealedAnnotation:
    """Return the annotation sealed under its dialog's key."""
    plain = _encode(_Written(remark, written_at))
    return SealedAnnotation(anchor, vault.seal(key, "annotation", plain, dialog_id, _bound(anchor)))


def opened(vault: Vault, key: DialogKey, dialog_id: str, annotation: SealedAnnotation) -> KeptAnnotation:
    """Return the annotation as readers see it.

    Raises:
        Unopenable: If the seal or its anchor was altered.
    """
    anchor = annotation.anchor
    written = _decode(vault.open(key, "annotation", annotation.sealed, dialog_id, _bound(anchor)))
    return KeptAnnotation(
        dialog_id=dialog_id,
        seq=None if anchor.seq == WHOLE else anchor.seq,
        annotator=anchor.annotator,
        labels=written.remark.labels,
        note=written.remark.note,
        review=written.remark.review,
        written_at=from_micros(written.written_at),
        etag=annotation.etag,
    )


def _bound(anchor: Anchor) -> bytes:
    return hashlib.sha256(_encode([1, anchor.seq, anchor.annotator])).digest()
