"""A data subject's requests: access and portability (GDPR art. 15, 20), and erasure with a signed report (art. 17).

The states of an erasure request:

    pending      keys are overwritten, but the store's own files may hold an earlier copy of one; retried every 30 s
      │ `residue` finds nothing
      ▼
    unreadable   no copy of a key is left in the store's files; a backup may hold one
      │ the epoch of the erasure ends: its master key is destroyed (`keys.rotation`)
      ▼
    complete     no copy of a key can be opened anywhere

Each state has its own signed report. The status changes with the epoch, in the store; the report of `complete` is
signed by the next `retry`. Access and portability requests (`disclosure`) are `incomplete` until all of the answer was
sent.

A request by a credential that is bound to purposes concerns the dialogs that were granted for one of them; the outcome
and the report say so, and a credential for other purposes cannot read them.

Everything runs on the event loop. The order of an erasure: erase the dialogs, erase the filter values that name the
customer and the words of searches that found a dialog of theirs, read the store back (`residue`), sign, record. A crash
before the last step leaves erased dialogs and no request: the caller got no answer and sends it again.

Races, and the line that closes each:

(R1) A dialog of the customer is stored while the others are erased: `_erase_all` looks again until there is none.
(R2) Another request or a withdrawal erases the same dialog at the same time: erasing is idempotent, and each request
     counts it.
(R3) A dialog is erased while a disclosure sends the customer's data: see `disclosure`, R1.
(R4) Two processes retry the same request: both read the store back and sign what they see; the later report replaces
     the earlier one, and both are true.
(R5) Two requests with one idempotency key arrive at the same time, here or in two processes: the first takes a lease,
     and the second is refused until the first is recorded.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Container, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from pyroaring import BitMap

from consentful import wire
from consentful.identifiers import uuid7

from ..access_log.chain import Action, Actor
from ..access_log.log import AccessLog
from ..annotations.annotations import Annotations
from ..archive.archive import Archive
from ..archive.store import DialogStore, Residue
from ..archive.views import ShownNotice
from ..auth.read_scope import EVERYTHING, ReadScope
from ..clock import Clock, to_micros
from ..consent.store import NoticeStore
from ..errors import KeyInUse, NotFound
from ..exports.recipients import Recipients
from ..keys.signing import Signer
from ..leases import Leases
from ..reading.pages import Pages
from .disclosure import Disclosed
from .repeats import Repeat
from .store import Disclosure, PrivacyRequest, RequestPlace, RequestStore, RequestsWanted, Status

_LONGEST: Final = timedelta(minutes=5)
"""Many times what a request takes: the lease of a process that died ends then."""
_REPEATABLE_FOR: Final = timedelta(hours=24) // timedelta(microseconds=1)
"""How long an idempotency key returns the earlier outcome, in microseconds."""
_DISCLOSED: Final[Mapping[Disclosure, Action]] = {"access": "request.access", "portability": "request.portability"}


class PrivacyRequests:
    """Executes privacy requests over the archive, and records each of them."""

    def __init__(
        self,
        archive: Archive,
        dialogs: DialogStore,
        store: RequestStore,
        notices: NoticeStore,
        pages: Pages,
        annotations: Annotations,
        access_log: AccessLog,
        recipients: Recipients,
        signer: Signer,
        leases: Leases,
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
        self._annotations = annotations
        self._access_log = access_log
        self._recipients = recipients
        self._signer = signer
        self._leases = leases
        self._clock = clock
        self._issuer = issuer
        self._due_within = due_within // timedelta(microseconds=1)

    async def erase(
        self,
        customer_id: str,
        *,
        by: Actor,
        scope: ReadScope = EVERYTHING,
        repeat: Repeat | None = None,
        answers: str | None = None,
    ) -> PrivacyRequest:
        """Erase all dialogs of one customer within a scope, read the store back, and sign the result.

        An unknown customer is not an error: the outcome counts no dialogs. The same `repeat` within 24 hours returns
        the earlier outcome; without one, every request is executed. `answers` is the open request that this one helps
        to answer (`register`).

        Raises:
            KeyReused: If another request had its mark.
            KeyInUse: If the same request is being executed.
        """
        if repeat is None:
            return await self._erase(customer_id, by, scope, None, answers)
        async with self._alone(repeat):  # (R5)
            return await self._earlier(repeat) or await self._erase(customer_id, by, scope, repeat, answers)

    async def _erase(
        self, customer_id: str, by: Actor, scope: ReadScope, repeat: Repeat | None, answers: str | None
    ) -> PrivacyRequest:
        now = to_micros(self._clock.now())
        customer = self._archive.pseudonym(customer_id)
        erased = await self._erase_all(customer, by, scope)
        # Also for a customer without dialogs: an earlier version logged values that name the pseudonym.
        await self._access_log.erase_values(customer)
        await self._access_log.forget_words()
        return await self._conclude(erased, by, now, repeat, scope, answers)

    async def erase_dialog(self, dialog_id: str, *, by: Actor) -> PrivacyRequest:
        """Erase one dialog of any owner, read the store back, and sign the result.

        Raises:
            NotFound: If the dialog does not exist.
        """
        erasure = await self._archive.erase(dialog_id, "requested", by=by)
        now = to_micros(self._clock.now())
        return await self._conclude({dialog_id: erasure.tombstone.messages}, by, now, None, EVERYTHING)

    @asynccontextmanager
    async def _alone(self, repeat: Repeat) -> AsyncGenerator[None]:
        """Let no other request with this mark run meanwhile, in any process."""
        name, holder = f"request {repeat.mark.hex()}", secrets.token_hex(8)
        if not await self._leases.take(name, holder, _LONGEST):
            raise KeyInUse
        try:
            yield
        finally:
            await self._leases.release(name, holder)

    async def _earlier(self, repeat: Repeat) -> PrivacyRequest | None:
        """Return the earlier request that this one repeats, if there is one."""
        earlier = await self._store.repeated(repeat.mark, to_micros(self._clock.now()) - _REPEATABLE_FOR)
        if earlier is not None:
            repeat.check(earlier.repeat_body)
        return earlier

    async def disclose(
        self,
        customer_id: str,
        kind: Disclosure,
        *,
        by: Actor,
        scope: ReadScope,
        repeat: Repeat | None = None,
        answers: str | None = None,
    ) -> Disclosed:
        """Record the request, and return the answer: all dialogs of the customer within a scope, and their recipients
        (GDPR art. 15(1)(c)). It is executed again if it is repeated.

        Raises:
            KeyReused: If another request had the mark of `repeat`.
        """
        is_repeated = repeat is not None and await self._earlier(repeat) is not None
        first = None if is_repeated else repeat
        found = await self._dialogs.of_customer(self._archive.pseudonym(customer_id))
        held = [dialog for dialog in found if scope.covers(dialog.purposes)]
        now = to_micros(self._clock.now())
        request = PrivacyRequest(
            id=str(uuid7()),
            kind=kind,
            status="incomplete",
            requested_by=by.name,
            received_at=now,
            due_at=now + self._due_within,
            dialogs=0,
            messages=0,
            purposes=scope.purposes,
            repeat_key=None if first is None else first.mark,
            repeat_body=None if first is None else first.body,
            answers=answers,
        )
        numbers = [dialog.number for dialog in held]
        messages = sum(dialog.messages for dialog in held)
        note = self._access_log.note(by, _DISCLOSED[kind], rows=messages, dialogs=numbers, subject=request.id)
        await self._store.add(request, note=note)
        recipients = await self._recipients.of(BitMap(numbers))
        ids = [dialog.dialog_id for dialog in held]
        return Disclosed(self._store, self._pages, self._annotations, request, recipients, ids)

    async def notices(self, shown: Container[ShownNotice]) -> list[wire.Notice]:
        """Return these notices: purposes, retention, rights, and where to complain (GDPR art. 15(1))."""
        return [
            wording.to_wire()
            for wording in await self._notices.all()
            if ShownNotice(id=wording.id, language=wording.language, sha256=wording.sha256) in shown
        ]

    async def request(self, request_id: str, *, by: Actor, scope: ReadScope) -> PrivacyRequest:
        """Return a request with its outcome.

        Raises:
            NotFound: If no request has this id, or it concerns purposes outside of the scope.
        """
        request = await self._store.find(request_id)
        if request is None or not scope.includes(request.purposes):
            raise NotFound
        await self._access_log.write(by, "request.read", subject=request_id)
        return request

    async def page(
        self, wanted: RequestsWanted, after: RequestPlace | None, limit: int, *, by: Actor, scope: ReadScope
    ) -> tuple[list[PrivacyRequest], RequestPlace | None]:
        """Return up to `limit` requests, and the place of the next page; None at the end.

        Those that concern purposes outside of the scope are left out, so a page may be short although more follow.
        """
        found = await self._store.page(wanted, after, limit)
        shown = [request for request in found if scope.includes(request.purposes)]
        await self._access_log.write(by, "request.read", rows=len(shown))
        following = RequestPlace(found[-1].due_at, found[-1].id) if len(found) == limit else None
        return shown, following

    async def retry(self) -> list[PrivacyRequest]:
        """Read the store back for every pending request (GDPR art. 12(3)); return those that still are, and the open
        ones, the first due first.

        Requests that became complete since are verified once more, and signed as complete.
        """
        await self._store.forget_repeats(to_micros(self._clock.now()) - _REPEATABLE_FOR)
        for request in await self._store.ended():
            await self._settle(request)
        waiting = await self._store.pending()
        return [request for request in waiting if request.status == "open" or not await self._settle(request)]

    async def _settle(self, request: PrivacyRequest) -> bool:
        """Verify a request; if no residue is left, sign and record that. Return whether it was settled."""
        dialog_ids = await self._store.erased_for(request.id)
        seen = await self._dialogs.residue(dialog_ids)
        if seen.is_empty:
            status: Status = "complete" if request.status == "complete" else "unreadable"
            report = self._signer.sign(self._report(request.id, status, dialog_ids, seen, request.purposes))  # (R4)
            await self._store.settle(request.id, status, report)
        return seen.is_empty

    async def _conclude(
        self,
        erased: dict[str, int],
        by: Actor,
        now: int,
        repeat: Repeat | None,
        scope: ReadScope,
        answers: str | None = None,
    ) -> PrivacyRequest:
        """Read the store back, sign the result, and record the request."""
        seen = await self._dialogs.residue(list(erased))
        request_id = str(uuid7())
        status: Status = "unreadable" if seen.is_empty else "pending"
        request = PrivacyRequest(
            id=request_id,
            kind="erasure",
            status=status,
            requested_by=by.name,
            received_at=now,
            due_at=now + self._due_within,
            dialogs=len(erased),
            messages=sum(erased.values()),
            report=self._signer.sign(self._report(request_id, status, list(erased), seen, scope.purposes)),
            repeat_key=None if repeat is None else repeat.mark,
            repeat_body=None if repeat is None else repeat.body,
            purposes=scope.purposes,
            answers=answers,
        )
        await self._store.add(
            request,
            list(erased),
            self._access_log.note(by, "request.erasure", rows=request.messages, subject=request_id),
        )
        return request

    async def _erase_all(self, customer: str, by: Actor, scope: ReadScope) -> dict[str, int]:
        """Erase until no dialog of the customer within the scope is stored.

        Return the number of messages of each dialog by its id.
        """
        erased: dict[str, int] = {}
        while held := [  # (R1)
            dialog for dialog in await self._dialogs.of_customer(customer) if scope.covers(dialog.purposes)
        ]:
            note = self._access_log.note(by, "dialog.requested")
            await asyncio.gather(
                *(self._dialogs.erase(it.dialog_id, "requested", scope=scope, note=note) for it in held)
            )
            erased |= {dialog.dialog_id: dialog.messages for dialog in held}  # (R2) also those that others erased
        return erased

    def _report(
        self, request_id: str, status: Status, dialog_ids: list[str], seen: Residue, purposes: tuple[str, ...] | None
    ) -> dict[str, Any]:
        """Return the claims of the report: which dialogs were erased, and what reading the store back found.

        Without the claim `purposes`, all dialogs were asked for.
        """
        limited: dict[str, Any] = {} if purposes is None else {"purposes": list(purposes)}
        return limited | {
            "iss": self._issuer,
            "iat": to_micros(self._clock.now()) // 1_000_000,  # NumericDate: seconds (RFC 7519 §2)
            "jti": request_id,
            "kind": "erasure",
            "status": status,
            "dialogs": dialog_ids,
            "keys_left": seen.keys,
            "rows_left": seen.rows,
            "earlier_copies_left": seen.earlier_copies,
        }
