"""The answer to a request for access or portability (GDPR art. 15, 20), while it is sent.

    recorded as `incomplete` ──► dialogs, one at a time ──► the end of the document ──► `finish`: `complete`, unless
                                   │ damaged: left out, and named at the end                 a dialog was left out
                                   │ the client disconnects, or the server dies
                                   ▼
                                 stays `incomplete`

The access log has the request before the first byte, with all dialogs that it can have disclosed. What was sent is
recorded after the last byte, so the record never claims more than the client got.

Everything runs on the event loop. Between two dialogs nothing is open.

(R1) A dialog is erased while the answer is sent: it is left out, and not counted.
(R2) The credential is revoked while the answer is sent: `check` ends it before the next dialog.
(R3) The customer narrows a consent while the answer is sent: a dialog that has left the credential's purposes is left
     out.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final

import msgspec

from ..access_log.views import Recipient
from ..annotations.annotations import Annotations
from ..archive.views import KeptDialog
from ..auth.read_scope import EVERYTHING, ReadScope
from ..errors import Damaged, Erased, NotFound
from ..reading.pages import Pages
from .store import PrivacyRequest, RequestStore


class Disclosed:
    """One answer: the request as it was recorded, the recipients, and the dialogs."""

    def __init__(
        self,
        store: RequestStore,
        pages: Pages,
        annotations: Annotations,
        request: PrivacyRequest,
        recipients: list[Recipient],
        dialog_ids: Sequence[str],
    ) -> None:
        self._store = store
        self._pages = pages
        self._annotations = annotations
        self._scope = ReadScope(request.purposes, identify=True)
        self._dialog_ids = dialog_ids
        self.request: Final = request
        self.recipients: Final = recipients
        self._dialogs = self._messages = 0
        self._damaged: list[str] = []

    async def dialogs(self, check: Callable[[], Awaitable[None]]) -> AsyncGenerator[KeptDialog]:
        """Yield the dialogs that can be opened. `check` is awaited before each; what it raises ends the answer."""
        for dialog_id in self._dialog_ids:
            await check()  # (R2)
            try:
                _, dialog = await self._pages.whole(dialog_id, EVERYTHING)
                said = await self._annotations.of_dialog(dialog_id)
            except Erased:  # (R1)
                continue
            except (Damaged, NotFound):  # an erasure leaves a tombstone: without one, rows are missing
                self._damaged.append(dialog_id)
                continue
            if not self._scope.covers(dialog.purposes):  # (R3)
                continue
            # An opinion about a person is that person's data, too (CJEU C-434/16, Nowak).
            yield msgspec.structs.replace(dialog, annotations=said)
            self._dialogs += 1
            self._messages += len(dialog.messages)

    @property
    def outcome(self) -> PrivacyRequest:
        """The request as it is once everything so far has reached the client."""
        return msgspec.structs.replace(
            self.request,
            status="incomplete" if self._damaged else "complete",
            dialogs=self._dialogs,
            messages=self._messages,
            damaged=tuple(self._damaged),
        )

    async def finish(self) -> None:
        """Record the outcome. Call this after the last byte."""
        done = self.outcome
        await self._store.finish(
            done.id, done.status, dialogs=done.dialogs, messages=done.messages, damaged=done.damaged
        )
