"""What a customer may ask for: all that is held (GDPR art. 15, 20), and that it be erased (art. 17), provably."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Container, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from pyroaring import BitMap

from consentful import wire
from consentful.identifiers import uuid7

from ..access_log.chain import Action, Actor
from ..access_log.log import AccessLog
from ..access_log.views import Recipient
from ..archive.archive import Archive
from ..archive.store import DialogStore, Residue
from ..archive.views import KeptDialog, ShownNotice
from ..auth.read_scope import ReadScope
from ..clock import Clock, to_micros
from ..consent.store import NoticeStore
from ..errors import Erased, NotFound
from ..keys.signing import Signer
from ..reading.pages import Pages
from .store import Disclosure, PrivacyRequest, RequestStore, Status

_REPEATABLE_FOR: Final = timedelta(hours=24) // timedelta(microseconds=1)
_DISCLOSED: Final[Mapping[Disclosure, Action]] = {"access": "request.access", "portability": "request.portability"}
_EVERYTHING: Final = ReadScope(identify=True)


class PrivacyRequests:
    """Carries out privacy requests over the archive."""

    def __init__(
        self,
        archive: Archive,
        dialogs: DialogStore,
        store: RequestStore,
        notices: NoticeStore,
        pages: Pages,
        access_log: AccessLog,
        signer: Signer,
        clock: Clock,
        *,
        issuer: str,
        due_within: timedelta,
    ) -> None:
        self._archive = archive
        self._dialogs = dialogs
        self._store = store
        self._notices = notices
        self._pages = pages
        self._access_log = access_log
        self._signer = signer
        self._clock = clock
        self._issuer = issuer
        self._due_within = due_within // timedelta(microseconds=1)

    async def erase(self, customer_id: str, *, by: Actor, repeat_key: str | None = None) -> PrivacyRequest:
        """Erase everything of one customer, look whether it is gone, and sign what was seen.

        An unknown customer is no error: the outcome says that nothing was found. The same `repeat_key` of the same
        credential within 24 hours gets the earlier outcome; without one every request runs anew.
        """
        key = None if repeat_key is None else hashlib.sha256(f"{by.name}\0{repeat_key}".encode()).digest()
        now = to_micros(self._clock.now())
        if key is not None and (earlier := await self._store.repeated(key, now - _REPEATABLE_FOR)):
            return earlier
        customer = self._archive.pseudonym(customer_id)
        erased = await self._erase_all(customer, by)
        await self._access_log.forget(customer)
        return await self._conclude(erased, by, now, key)

    async def erase_dialog(self, dialog_id: str, *, by: Actor) -> PrivacyRequest:
        """Erase one dialog, whoever's, look whether it is gone, and sign what was seen.

        Raises:
            NotFound: If there is none.
        """
        erasure = await self._archive.erase(dialog_id, "requested", by=by)
        return await self._conclude({dialog_id: erasure.tombstone.messages}, by, to_micros(self._clock.now()), None)

    async def disclose(
        self, customer_id: str, kind: Disclosure, *, by: Actor
    ) -> tuple[PrivacyRequest, list[Recipient], AsyncGenerator[KeptDialog]]:
        """Return the request for one customer's data, on record, who saw some of it, and all of it by dialog."""
        held = await self._dialogs.of_customer(self._archive.pseudonym(customer_id))
        now = to_micros(self._clock.now())
        request = PrivacyRequest(
            id=str(uuid7()),
            kind=kind,
            status="complete",
            requested_by=by.name,
            received_at=now,
            due_at=now + self._due_within,
            dialogs=len(held),
            messages=sum(dialog.messages for dialog in held),
        )
        note = self._access_log.note(
            by, _DISCLOSED[kind], rows=request.messages, dialogs=[dialog.number for dialog in held], subject=request.id
        )
        await self._store.add(request, note=note)
        recipients = await self._access_log.recipients(BitMap([dialog.number for dialog in held]))
        return request, recipients, self._whole([dialog.dialog_id for dialog in held])

    async def notices(self, shown: Container[ShownNotice]) -> list[wire.Notice]:
        """Return these notices as they were shown: purposes, retention, rights, and where to complain (art. 15(1))."""
        return [
            wording.to_wire()
            for wording in await self._notices.all()
            if ShownNotice(id=wording.id, language=wording.language, sha256=wording.sha256) in shown
        ]

    async def request(self, request_id: str, *, by: Actor) -> PrivacyRequest:
        """Return a request and what came of it.

        Raises:
            NotFound: If there is none of this id.
        """
        request = await self._store.find(request_id)
        if request is None:
            raise NotFound
        await self._access_log.write(by, "request.read", subject=request_id)
        return request

    async def retry(self) -> list[PrivacyRequest]:
        """Look again at what is still pending (GDPR art. 12(3)); return what still is, the first due at first.

        What became complete since is looked at once more, and signed as that.
        """
        for request in await self._store.ended():
            await self._settle(request)
        return [request for request in await self._store.pending() if not await self._settle(request)]

    async def _settle(self, request: PrivacyRequest) -> bool:
        """Whether nothing is left of what was erased; then that is signed, and on record."""
        dialog_ids = await self._store.erased_for(request.id)
        seen = await self._dialogs.residue(dialog_ids)
        if seen.is_none:
            status: Status = "complete" if request.status == "complete" else "unreadable"
            report = self._signer.sign(self._report(request.id, status, dialog_ids, seen))
            await self._store.settle(request.id, status, report)
        return seen.is_none

    async def _conclude(self, erased: dict[str, int], by: Actor, now: int, key: bytes | None) -> PrivacyRequest:
        """Verify what was erased, sign what was seen, and put the request on record."""
        seen = await self._dialogs.residue(list(erased))
        request_id = str(uuid7())
        status: Status = "unreadable" if seen.is_none else "pending"
        request = PrivacyRequest(
            id=request_id,
            kind="erasure",
            status=status,
            requested_by=by.name,
            received_at=now,
            due_at=now + self._due_within,
            dialogs=len(erased),
            messages=sum(erased.values()),
            report=self._signer.sign(self._report(request_id, status, list(erased), seen)),
            repeat_key=key,
        )
        await self._store.add(
            request,
            list(erased),
            self._access_log.note(by, "request.erasure", rows=request.messages, subject=request_id),
        )
        return request

    async def _erase_all(self, customer: str, by: Actor) -> dict[str, int]:
        """Erase until nothing is left, even if more is stored meanwhile; return the dialogs and their messages."""
        erased: dict[str, int] = {}
        while held := await self._dialogs.of_customer(customer):
            note = self._access_log.note(by, "dialog.requested")
            await asyncio.gather(*(self._dialogs.erase(it.dialog_id, "requested", note=note) for it in held))
            erased |= {dialog.dialog_id: dialog.messages for dialog in held}
        return erased

    async def _whole(self, dialog_ids: list[str]) -> AsyncGenerator[KeptDialog]:
        for dialog_id in dialog_ids:
            with suppress(Erased, NotFound):  # meanwhile
                _, dialog = await self._pages.whole(dialog_id, _EVERYTHING)
                yield dialog

    def _report(self, request_id: str, status: Status, dialog_ids: list[str], seen: Residue) -> dict[str, Any]:
        """Return what is signed: which dialogs, and what a reading of the files showed afterwards."""
        return {
            "iss": self._issuer,
            "iat": to_micros(self._clock.now()) // 1_000_000,
            "jti": request_id,
            "kind": "erasure",
            "status": status,
            "dialogs": dialog_ids,
            "keys_left": seen.keys,
            "rows_left": seen.rows,
            "earlier_copies_left": seen.earlier_copies,
        }
