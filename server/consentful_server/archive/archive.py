"""The archive: a granted dialog is sealed and stored; an erased one is gone for good.

It joins the pure parts (consent, vault, rules) with the store. Edges call it and decide nothing.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeAlias

from consentful import wire, withdrawal_code

from ..access_log.chain import CUSTOMER, SERVICE, Action, Actor
from ..access_log.log import AccessLog
from ..auth.read_scope import EVERYTHING, ReadScope
from ..clock import Clock, from_micros, to_micros
from ..consent.notices import Wording
from ..consent.receipt import receipt_claims
from ..consent.record import Record, expiry
from ..dialogs.dialog import Dialog, Granted
from ..errors import BadRequest, Damaged, NotFound
from ..keys.pseudonyms import Pseudonyms
from ..keys.signing import Signer
from ..keys.vault import Vault, withdrawal_hash
from .narrowing import narrowed
from .opening import Opened, unwrap
from .priority import Priority
from .rules import left_of, on_narrow
from .sealing import Sealer, Sign
from .store import DialogStore, ErasureOutcome, Reason, StoredDialog, Tombstone

Shown: TypeAlias = tuple[str, str]
"""A notice as it was shown: its id and its language."""


class Archive:
    """The stored dialogs of this deployment."""

    def __init__(
        self,
        store: DialogStore,
        vault: Vault,
        *,
        signer: Signer,
        pseudonyms: Pseudonyms,
        access_log: AccessLog,
        clock: Clock,
        priority: Priority,
        issuer: str,
        withdrawal_page: str | None = None,
        on_replay: Callable[[], object] = lambda: None,
    ) -> None:
        """`on_replay` is called whenever a granted dialog is stored already."""
        self._store = store
        self._access_log = access_log
        self._vault = vault
        self._signer = signer
        self._pseudonyms = pseudonyms
        self._clock = clock
        self._priority = priority
        self._issuer = issuer
        self._withdrawal_page = withdrawal_page
        self._on_replay = on_replay

    def pseudonym(self, customer_id: str) -> str:
        """Return the customer's pseudonym."""
        return self._pseudonyms.of(customer_id)

    async def keep(self, dialog: Dialog, granted: Granted, *, owner: str, channel: str) -> wire.Stored:
        """Store a granted dialog, once, and return its proof; a replay of the same dialog gets the same proof.

        Raises:
            Conflict: If the id belongs to another dialog, customer or credential.
            Erased: If the id was erased or retracted.
            StorageFailed: If nothing was stored.
            OutcomeUnknown: If it cannot be told whether it was.
        """
        record = self._record(dialog, granted, owner, channel)
        mark = self._pseudonyms.mark(record.dialog_id, record.owner, record.customer)
        sealer = Sealer(self._vault, dialog, record, mark, self._signing(granted.wording))
        with self._priority.decision():
            stored = await self._store.keep(sealer)
        if sealer.was_stored:
            self._on_replay()
        return _proof(stored, sealer.code(stored))

    def proof(self, stored: StoredDialog) -> wire.Stored:
        """Return the proof of a stored dialog again.

        Raises:
            Damaged: If the dialog's key cannot be opened.
        """
        return _proof(stored, unwrap(self._vault, stored).withdrawal_code())

    async def decline(self, dialog_id: str, customer_id: str, *, owner: str, retract: bool = False) -> None:
        """Make sure that nothing of the dialog is stored: declining a stored dialog withdraws the consent (GDPR art.
        7(3)).

        With `retract`, a grant of this customer and credential that is still in progress fails, too.
        """
        customer, by = self.pseudonym(customer_id), Actor(owner)
        if retract:
            mark = self._pseudonyms.mark(dialog_id, owner, customer)
            await self._store.retract(dialog_id, owner, customer, mark, self._access_log.note(by, "dialog.retracted"))
        # Usually nothing is stored yet; then declining needs no write.
        elif isinstance(await self._store.find(dialog_id), StoredDialog):
            note = self._access_log.note(by, "dialog.declined")
            await self._store.erase(dialog_id, "declined", owner=owner, customer=customer, note=note)

    async def erase(
        self,
        dialog_id: str,
        reason: Reason,
        *,
        owner: str | None = None,
        scope: ReadScope = EVERYTHING,
        by: Actor = SERVICE,
    ) -> ErasureOutcome:
        """Erase one dialog, durably; without `owner`, of any credential.

        Raises:
            NotFound: If it does not exist, belongs to another owner, or is outside of the scope.
        """
        note = self._access_log.note(by, _ERASED[reason])
        erasure = await self._store.erase(dialog_id, reason, owner=owner, scope=scope, note=note)
        if erasure is None:
            raise NotFound
        return erasure

    async def withdraw(self, code: str, by: Actor = CUSTOMER) -> ErasureOutcome:
        """Erase the dialog with this withdrawal code, durably (GDPR art. 7(3)). The code is read as it was meant.

        Raises:
            NotFound: If no dialog has this code.
        """
        note = self._access_log.note(by, "dialog.withdrawn")
        hashes = _hashes(code)
        erasure = await self._store.withdraw(hashes, note) if hashes else None
        if erasure is None:
            raise NotFound
        return erasure

    async def withdrawable(self, code: str) -> StoredDialog | Tombstone:
        """Return the dialog with this withdrawal code, sealed, or its tombstone.

        Raises:
            NotFound: If no dialog has this code.
        """
        hashes = _hashes(code)
        found = await self._store.of_withdrawal(hashes) if hashes else None
        if found is None:
            raise NotFound
        return found

    async def withdraw_for(
        self, code: str, purposes: Collection[str], wordings: Mapping[Shown, Wording], by: Actor = CUSTOMER
    ) -> ErasureOutcome | StoredDialog:
        """Withdraw a consent for these purposes alone, durably; return the dialog under what is left of it.

        If nothing is left, the dialog is erased as by `withdraw`. `wordings` as for `narrow`.

        Raises:
            NotFound: If no dialog has this code.
            BadRequest: If the notice that the customer was shown does not name one of the purposes.
        """
        note = self._access_log.note(by, "dialog.narrowed")
        while isinstance(found := await self.withdrawable(code), StoredDialog):
            wording = wordings.get((found.record.notice_id, found.record.notice_language))
            if wording is None or not set(purposes).issubset(wording.purposes):
                raise BadRequest("purposes", "must be purposes of the notice that the customer was shown")
            left = left_of(found.record, purposes)
            if not left:
                break
            if left == found.record.purposes:
                return found

            def narrower(stored: StoredDialog) -> StoredDialog | None:
                # Of the consent as it is in the transaction: it may have been narrowed since it was looked up.
                still_left = left_of(stored.record, purposes)
                return narrowed(self._vault, stored, still_left, self._resigning(wordings)) if still_left else None

            await self._store.narrow(found.record.dialog_id, narrower, note)
        return await self.withdraw(code, by)

    async def narrow(self, dialog_id: str, purposes: tuple[str, ...], wordings: Mapping[Shown, Wording]) -> bool:
        """Narrow a stored dialog's consent to these purposes, durably; return False if it is as narrow already.

        `wordings` are all notices by id and language: the new receipt states what the notice says. A dialog that cannot
        be opened cannot be sealed again; afterwards its seals do not fit its record, so nobody can read it.
        """
        found = await self._store.find(dialog_id)
        if not isinstance(found, StoredDialog) or on_narrow(purposes, found.record) is None:
            return False

        sign = self._resigning(wordings)
        return await self._store.narrow(dialog_id, lambda stored: narrowed(self._vault, stored, purposes, sign))

    async def find(self, dialog_id: str) -> StoredDialog | Tombstone | None:
        """Return the stored dialog, sealed, or its tombstone; None if the id was never used."""
        return await self._store.find(dialog_id)

    def content_digest(self, sealed: StoredDialog) -> bytes:
        """Return the keyed digest of a dialog's stored content, which its receipt states.

        Raises:
            Damaged: If it cannot be opened, or a message is missing or was altered.
        """
        return Opened(self._vault, sealed).content_digest()

    def _record(self, dialog: Dialog, granted: Granted, owner: str, channel: str) -> Record:
        now = self._clock.now()
        return Record(
            dialog_id=dialog.id,
            customer=self.pseudonym(dialog.customer_id),
            owner=owner,
            bot=dialog.bot,
            channel=channel,
            notice_id=granted.wording.id,
            notice_language=granted.wording.language,
            notice_sha256=granted.wording.sha256,
            purposes=granted.purposes,
            given_by=granted.given_by,
            decided_at=to_micros(now),
            expires_at=to_micros(expiry(now, granted.wording)),
        )

    def _resigning(self, wordings: Mapping[Shown, Wording]) -> Sign:
        def sign(record: Record, messages: int, content: bytes) -> str:
            wording = wordings.get((record.notice_id, record.notice_language))
            if wording is None:
                raise Damaged(record.dialog_id)
            return self._signing(wording)(record, messages, content)

        return sign

    def _signing(self, wording: Wording) -> Callable[[Record, int, bytes], str]:
        def sign(record: Record, messages: int, content: bytes) -> str:
            claims = receipt_claims(
                record,
                wording,
                issuer=self._issuer,
                messages=messages,
                content=content,
                withdrawal_page=self._withdrawal_page,
            )
            return self._signer.sign(claims)

        return sign


def _hashes(code: str) -> list[bytes]:
    return [withdrawal_hash(reading) for reading in withdrawal_code.readings(code)]


def _proof(stored: StoredDialog, code: str) -> wire.Stored:
    return wire.Stored(stored.record.dialog_id, stored.messages, from_micros(stored.stored_at), stored.receipt, code)


_ERASED: Final[Mapping[Reason, Action]] = {
    "withdrawn": "dialog.withdrawn",
    "declined": "dialog.declined",
    "retracted": "dialog.retracted",
    "requested": "dialog.requested",
    "expired": "dialog.expired",
}
