"""Every wording that was ever on offer, so that it can be shown again from its hash (GDPR art. 7(1))."""

from collections.abc import Sequence
from typing import Protocol

from ..access_log.store import Note
from .notices import Wording


class NoticeStore(Protocol):
    """The store's notices. What was shown once is never changed."""

    async def all(self) -> list[Wording]:
        """Return every wording that was ever on offer, in the order in which they were added."""
        ...

    async def add(self, wordings: Sequence[Wording], note: Note | None = None) -> None:
        """Put a notice on offer, in all its languages. Adding it again changes nothing.

        Raises:
            Conflict: If there is another notice of this id.
        """
        ...

    async def retire(self, notice_id: str, note: Note | None = None) -> bool:
        """Take a notice off offer from now on; False if there is none. Its wordings are kept for good."""
        ...
