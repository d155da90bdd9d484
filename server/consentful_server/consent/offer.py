"""The notices on offer: added, retired, and read again every 30 s, because other processes change them too."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from ..access_log.chain import SERVICE, Actor
from ..access_log.log import AccessLog
from ..clock import Clock, to_micros
from .notices import Catalogue, Wording, default_notice
from .store import NoticeStore


class Offer:
    """The notices of one deployment. `catalogue` holds those on offer at the last `refresh`."""

    def __init__(self, store: NoticeStore, access_log: AccessLog, clock: Clock, shown_for: timedelta) -> None:
        self._store = store
        self._access_log = access_log
        self._clock = clock
        self._shown_for = shown_for
        self.catalogue = Catalogue(default_notice())

    async def add(self, wordings: Sequence[Wording], *, by: Actor = SERVICE) -> None:
        """Put a notice on offer in all its languages. Adding it again changes nothing.

        Raises:
            Conflict: If another notice has this id.
        """
        await self._store.add(wordings, self._access_log.note(by, "notice.added", subject=wordings[0].id))

    async def retire(self, notice_id: str, *, by: Actor, at: int | None = None) -> bool:
        """Take a notice off offer; return False if it does not exist. `at`: when (microseconds), if not now."""
        note = self._access_log.note(by, "notice.retired", subject=notice_id)
        return await self._store.retire(notice_id, note, at=at)

    async def retire_again(self, notice_id: str, at: int, instead: Sequence[Wording]) -> bool:
        """Retire a notice that an older copy of the store offers again; add the one on offer instead, if it is unknown.

        Return whether anything was done. A notice without another in its place stays on offer: dialogs need one.
        """
        known = await self._store.all()
        offered = {it.id for it in known if it.retired_at is None}
        if notice_id not in offered:
            return False
        if instead and instead[0].id not in {it.id for it in known}:
            await self.add(instead)
        elif offered == {notice_id}:
            return False
        return await self.retire(notice_id, by=SERVICE, at=at)

    async def every(self) -> Mapping[tuple[str, str], Wording]:
        """Return all notices by id and language, however long ago they were retired: stored dialogs refer to them."""
        return {(it.id, it.language): it for it in await self._store.all()}

    async def refresh(self) -> None:
        """Read the notices again: those on offer, and retired ones that a live dialog may still show."""
        # A dialog that opened just before its notice was retired may last `shown_for`, and then consent to it.
        oldest = to_micros(self._clock.now() - self._shown_for)
        known = await self._store.all()
        self.catalogue = Catalogue([it for it in known if it.retired_at is None or it.retired_at > oldest])
