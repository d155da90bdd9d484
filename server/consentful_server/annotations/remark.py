"""What an annotator says of a dialog or a message, and what readers see of it. Pure.

One annotation belongs to one annotator: two annotators never overwrite each other, and their agreement can be measured.
An opinion about a person is personal data (CJEU C-434/16, Nowak), so an annotation is sealed under its dialog's key.
"""

from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

Review: TypeAlias = Literal["pending", "accepted", "rejected"]
"""`pending`: somebody has to look again; `accepted`: use it; `rejected`: do not."""

MAX_LABELS: Final = 20
MAX_NOTE: Final = 4_000

Label: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._:/-]{0,63}$(?!\n)")]
"""A name from a vocabulary, such as `intent/refund`: it is filtered by, so it is not a place for sentences."""

WHOLE: Final = 0
"""The seq of an annotation on the dialog as a whole."""


class Remark(msgspec.Struct, frozen=True, array_like=True):
    """Labels without repeats, a note of at most `MAX_NOTE` characters, and a review status."""

    labels: tuple[str, ...] = ()
    note: str | None = None
    review: Review | None = None

    def __repr__(self) -> str:
        return f"Remark(labels={len(self.labels)}, review={self.review!r})"

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return self == Remark()


class KeptAnnotation(msgspec.Struct, frozen=True, kw_only=True):
    """One annotation. `seq` is null if it is on the dialog as a whole; `annotator` is the credential that wrote it.

    `etag` changes whenever the annotation does; send it as `If-Match` to change what you have seen.
    """

    dialog_id: str
    seq: int | None
    annotator: str
    labels: tuple[str, ...]
    note: str | None
    review: Review | None
    written_at: datetime
    etag: str

    def __repr__(self) -> str:
        return f"KeptAnnotation({self.dialog_id!r}, seq={self.seq})"

    @property
    def remark(self) -> Remark:
        """What the annotator says."""
        return Remark(self.labels, self.note, self.review)
