"""Contract of the store of annotations.

An annotation is a row beside its dialog, found by the dialog's number, the seq of the message (0: the dialog as a
whole) and the annotator. Beside it stand its terms: keyed hashes that filters compare (`terms`). The store handles no
plaintext.

Promises, besides those of every store:

- An annotation exists only while its dialog does: what erases a dialog erases its annotations and their terms, in the
  same transaction, and the key that seals them with it.
- `put` and `delete` load, ask `rules` and apply in one transaction that nobody else can write in.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from ..access_log.store import Note
from ..auth.read_scope import ReadScope

_ETAG_BYTES: Final = 12


class Anchor(msgspec.Struct, frozen=True):
    """Where an annotation belongs: the dialog's internal number, the message's seq, and the annotator."""

    dialog: int
    seq: int
    annotator: str


class SealedAnnotation(msgspec.Struct, frozen=True):
    """An annotation as it is stored."""

    anchor: Anchor
    sealed: bytes

    def __repr__(self) -> str:
        return f"SealedAnnotation({self.anchor!r})"

    @property
    def etag(self) -> str:
        """The entity tag, in quotes (RFC 9110 §8.8.3). Each seal has a nonce of its own, so no two are equal."""
        return f'"{hashlib.sha256(self.sealed).digest()[:_ETAG_BYTES].hex()}"'


class Condition(msgspec.Struct, frozen=True):
    """What must be true before a change (RFC 9110 §13.1); nothing, if it is empty.

    `is_new`: there is no annotation yet (`If-None-Match: *`). `etags`: there is one with one of these tags
    (`If-Match`); `*` matches every one.
    """

    is_new: bool = False
    etags: tuple[str, ...] | None = None


class AnnotationStore(Protocol):
    """Stores sealed annotations, with the promises above."""

    async def find(self, anchor: Anchor) -> SealedAnnotation | None:
        """Return the annotation at this anchor; None if there is none."""
        ...

    async def of_dialog(self, dialog: int) -> list[SealedAnnotation]:
        """Return all annotations of a dialog, by seq and annotator."""
        ...

    async def put(
        self, annotation: SealedAnnotation, terms: Sequence[str], condition: Condition, scope: ReadScope, note: Note
    ) -> bool:
        """Store the annotation in place of the earlier one (`rules.on_put`); return whether there was none.

        Raises:
            NotFound: If the dialog is not stored any more, or has left the scope.
            Stale: If the condition does not hold.
        """
        ...

    async def delete(self, anchor: Anchor, condition: Condition, note: Note) -> bool:
        """Delete the annotation (`rules.on_delete`); return whether there was one.

        Raises:
            Stale: If the condition does not hold.
        """
        ...
