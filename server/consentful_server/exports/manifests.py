"""Manifests: what a stream contained, what was asked for, and which of its dialogs were erased since."""

from ..access_log.log import AccessLog
from ..access_log.store import Logged
from ..clock import from_micros
from ..errors import NotFound
from .recipients import Recipients
from .store import Export, ExportStore
from .views import ShownExport

_BLOCK = 1_000


class Manifests:
    """The manifests of one deployment's exports."""

    def __init__(self, store: ExportStore, access_log: AccessLog, recipients: Recipients) -> None:
        self._store = store
        self._access_log = access_log
        self._recipients = recipients

    async def of(self, export_id: str, who: str | None) -> ShownExport:
        """Return the manifest of an export of this recipient, or of any if `who` is None.

        Raises:
            NotFound: If it does not exist, or is another recipient's.
        """
        entries = await self._store.entries(export_id)
        began = next((logged for logged in entries if logged.link.entry.action.endswith(".streamed")), None)
        if began is None or who not in (None, began.link.entry.who):
            raise NotFound
        record = await self._store.find(export_id)
        if record is None:  # the stream runs, or the server died during it
            return self._running(began)
        return self._ended(began, entries[-1], record, await self._erased_of(record))

    def _running(self, began: Logged) -> ShownExport:
        return ShownExport(
            id=began.link.entry.subject or "",
            who=began.link.entry.who,
            filter=self._access_log.values_of(began),
            began_at=from_micros(began.link.entry.at),
            ended_at=None,
            complete=False,
            shape=None,
            media=None,
            rows=None,
            bytes=None,
            sha256=None,
            damaged=None,
            stale=False,
            erased=[],
        )

    def _ended(self, began: Logged, ended: Logged, record: Export, erased: list[str]) -> ShownExport:
        return ShownExport(
            id=record.id,
            who=began.link.entry.who,
            filter=self._access_log.values_of(began),
            began_at=from_micros(began.link.entry.at),
            ended_at=from_micros(ended.link.entry.at),
            complete=record.complete,
            shape=record.shape,
            media=record.media,
            rows=record.rows,
            bytes=record.size,
            sha256=record.sha256.hex(),
            damaged=record.damaged,
            stale=bool(erased),
            erased=erased,
        )

    async def _erased_of(self, export: Export) -> list[str]:
        await self._recipients.refresh()
        found: list[str] = []
        after = export.place
        while block := await self._store.erased(after, _BLOCK):
            found += [it.dialog_id for it in block if export.id in self._recipients.exports_with(it.number, export.who)]
            after = block[-1].place
        return found
