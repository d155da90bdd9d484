"""Notices as a store keeps them: every wording that customers were ever shown (GDPR art. 7(1))."""

from collections.abc import Sequence
from typing import Protocol

from ..access_log.store import Note
from .notices import Wording


class NoticeStore(Protocol):
    """The store's notices. A wording is never changed or deleted."""

    async def all(self) -> list[Wording]:
        """Return every wording, also of retired notices, in the order in which they were added."""
        ...

    async def add(self, wordings: Sequence[Wording], note: Note | None = None) -> None:
        """Put a notice on offer in all its languages. Adding it again changes nothing.

        Raises:
            Conflict: If another notice has this id.
        """
        ...

    async def retire(self, notice_id: str, note: Note | None = None, *, at: int | None = None) -> bool:
        """Take a notice off offer; return False if it does not exist. Its wordings stay.

        `at` is when it was retired (microseconds), if not now. The ledger records it, and what is on offer instead.
        """
        ...
