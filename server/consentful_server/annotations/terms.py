"""AnnotationTerms: what filters compare, so that no label, review or annotator stands in an index in plain text. Pure.

A term is a keyed hash (HMAC-SHA-256) of one thing that an annotation says. Whoever has the database, or a backup of it,
and no root key, learns how many annotations share a term, and not what it means. Without the key there is no way back;
with it, a label can be guessed, as a pseudonym can. AnnotationTerms are deleted with the annotation.
"""

from typing import Final

from ..keys.base32 import base32
from ..mac import Mac
from .remark import Remark

_BYTES: Final = 16


class AnnotationTerms:
    """Makes terms with one key."""

    def __init__(self, key: bytes) -> None:
        self._mac = Mac(key)

    def of(self, annotator: str, remark: Remark) -> tuple[str, ...]:
        """Return all terms of an annotation."""
        review = [] if remark.review is None else [self._term("review", remark.review)]
        labels = [self._term("label", label) for label in remark.labels]
        return (self.any, self._term("annotator", annotator), *review, *labels)

    def wanted(
        self, *, label: str | None = None, review: str | None = None, annotator: str | None = None
    ) -> tuple[str, ...]:
        """Return the terms that an annotation must have; none if nothing is asked."""
        asked = (("label", label), ("review", review), ("annotator", annotator))
        return tuple(self._term(kind, value) for kind, value in asked if value is not None)

    @property
    def any(self) -> str:
        """The term that every annotation has."""
        return self._term("any", "")

    def _term(self, kind: str, value: str) -> str:
        # No kind has a line feed, so the parts cannot be shifted against each other.
        return base32(self._mac.of(f"{kind}\n{value}".encode())[:_BYTES]).lower()
