"""Annotations of stored dialogs: written by their annotators, read with the dialog, erased with it.

    find the dialog, within the scope ──► unwrap its key ──► seal ──► store, with its terms and its access-log entry

Everything runs on the event loop. Between finding the dialog and storing the annotation nothing is locked:

(R1) The dialog is erased meanwhile, or narrowed out of the scope: the store looks again in its own transaction.
(R2) The annotator writes the same annotation elsewhere: with `If-Match`, the later of the two gets `Stale`; without, it
     replaces the earlier one.
(R3) A response was lost and the request is sent again: what it demands is there already, so it succeeds and changes
     nothing, whatever its condition says (RFC 9110 §13.1.1).
"""

from ..access_log.log import AccessLog
from ..archive.opening import unwrap
from ..archive.store import DialogStore, StoredDialog
from ..auth.read_scope import ReadScope
from ..clock import Clock, to_micros
from ..errors import Damaged, NotFound
from ..keys.vault import DialogKey, Unopenable, Vault
from . import sealing
from .remark import WHOLE, KeptAnnotation, Remark
from .store import Anchor, AnnotationStore, Condition, SealedAnnotation
from .terms import AnnotationTerms


class Annotations:
    """The annotations of this deployment."""

    def __init__(
        self,
        store: AnnotationStore,
        dialogs: DialogStore,
        vault: Vault,
        terms: AnnotationTerms,
        access_log: AccessLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._dialogs = dialogs
        self._vault = vault
        self._access_log = access_log
        self._clock = clock
        self.terms = terms

    async def mine(self, dialog_id: str, seq: int, scope: ReadScope) -> KeptAnnotation:
        """Return the caller's annotation of a message, or of the whole dialog; the access log has recorded it.

        Raises:
            NotFound: If there is none within the scope.
            Damaged: If it cannot be opened.
        """
        dialog = await self._stored(dialog_id, scope)
        found = await self._store.find(Anchor(dialog.number, seq, scope.by.name))
        if found is None:
            raise NotFound
        kept = self._opened(unwrap(self._vault, dialog), dialog_id, found)
        await self._access_log.write(scope.by, "annotations.read", rows=1, dialogs=[dialog.number])
        return kept

    async def put(
        self, dialog_id: str, seq: int, remark: Remark, scope: ReadScope, condition: Condition
    ) -> tuple[KeptAnnotation, bool]:
        """Store the caller's annotation of a message, or of the whole dialog (`WHOLE`), in place of an earlier one.

        Return it, and whether there was none.

        Raises:
            NotFound: If there is no such dialog or message within the scope.
            Stale: If the condition does not hold, and the annotation says something else.
            Damaged: If the dialog's key cannot be opened.
        """
        dialog = await self._stored(dialog_id, scope)
        if not WHOLE <= seq <= dialog.messages:
            raise NotFound
        key = unwrap(self._vault, dialog)
        anchor = Anchor(dialog.number, seq, scope.by.name)
        earlier = await self._store.find(anchor)
        if earlier is not None and (known := self._opened(key, dialog_id, earlier)).remark == remark:
            return known, False  # (R3)
        written_at = to_micros(self._clock.now())
        annotation = sealing.seal(self._vault, key, dialog_id, anchor, remark, written_at)
        note = self._access_log.note(scope.by, "annotation.written", rows=1, dialogs=[dialog.number])
        terms = self.terms.of(anchor.annotator, remark)
        is_new = await self._store.put(annotation, terms, condition, scope, note)  # (R1, R2)
        return self._opened(key, dialog_id, annotation), is_new

    async def delete(
        self, dialog_id: str, seq: int, scope: ReadScope, condition: Condition, annotator: str | None = None
    ) -> bool:
        """Delete an annotation of the caller, or of another annotator; return whether there was one.

        Raises:
            NotFound: If there is no such dialog within the scope.
            Stale: If the condition does not hold.
        """
        dialog = await self._stored(dialog_id, scope)
        anchor = Anchor(dialog.number, seq, annotator or scope.by.name)
        note = self._access_log.note(scope.by, "annotation.deleted", rows=1, dialogs=[dialog.number])
        return await self._store.delete(anchor, condition, note)

    async def of_dialog(self, dialog_id: str) -> list[KeptAnnotation]:
        """Return all annotations of a stored dialog; none if it is not stored. The caller must record the disclosure.

        Raises:
            Damaged: If one cannot be opened.
        """
        found = await self._dialogs.find(dialog_id)
        if not isinstance(found, StoredDialog):
            return []
        key = unwrap(self._vault, found)
        return [self._opened(key, dialog_id, it) for it in await self._store.of_dialog(found.number)]

    async def _stored(self, dialog_id: str, scope: ReadScope) -> StoredDialog:
        found = await self._dialogs.find(dialog_id)
        if not isinstance(found, StoredDialog) or not scope.covers(found.record.purposes):
            raise NotFound
        return found

    def _opened(self, key: DialogKey, dialog_id: str, annotation: SealedAnnotation) -> KeptAnnotation:
        try:
            return sealing.opened(self._vault, key, dialog_id, annotation)
        except Unopenable:
            raise Damaged(dialog_id) from None
