"""Sealing: a granted dialog becomes what the store keeps. `opening` is the way back."""

import hmac
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from ..clock import to_micros
from ..consent.record import Record, canonical_content
from ..dialogs.dialog import Dialog, Utterance
from ..keys.vault import DialogKey, Vault, epoch_of, withdrawal_hash
from . import contents, rules
from .contents import Line
from .opening import unwrap
from .store import MessageHead, SealedDialog, StoredDialog

Sign: TypeAlias = Callable[[Record, int, bytes], str]
"""Makes the receipt of a consent record, a number of messages and the keyed digest of the content."""


class Sealer:
    """Seals one granted dialog; satisfies `store.Candidate`.

    `sign` makes the receipt of a record and a keyed content digest.
    """

    def __init__(self, vault: Vault, dialog: Dialog, record: Record, sign: Sign) -> None:
        self._vault = vault
        self._dialog = dialog
        self._record = record
        self._sign = sign
        self._content = canonical_content(
            dialog.customer_id,
            record.notice_id,
            [(seq, said.role, said.text, said.language) for seq, said in enumerate(dialog.utterances, 1)],
        )
        self._key = vault.new_key()
        self.sealed = self._seal(self._key, record, vault.wrap(self._key, dialog.id))

    def code(self, stored: StoredDialog) -> str:
        """Return the withdrawal code of what is stored: this dialog, or the same one that was there already."""
        key = self._key if stored.wrapped == self.sealed.wrapped else unwrap(self._vault, stored)
        return key.withdrawal_code()

    def wrapped_since(self, epoch: int) -> bytes:
        """Return the dialog's key under the master of this epoch, or a later one."""
        if epoch_of(self.sealed.wrapped) >= epoch:
            return self.sealed.wrapped
        return self._vault.wrap(self._key, self._dialog.id, epoch)

    def reconcile(self, stored: StoredDialog) -> StoredDialog:
        """Return what is kept when this dialog is there already: the stored one, or it with narrower purposes.

        Raises:
            Conflict: If it is another dialog, another customer's or another credential's, or would widen the consent.
        """
        key = unwrap(self._vault, stored)
        is_same = hmac.compare_digest(key.digest(self._content), stored.content)
        record = rules.on_repeat(self._record, stored.record, is_same=is_same)
        if record is None:
            return stored
        fresh = self._seal(key, record, stored.wrapped)
        return msgspec.structs.replace(
            stored,
            record=record,
            receipt=fresh.receipt,
            texts=fresh.texts,
            customer=fresh.customer,
            metadata=fresh.metadata,
        )

    def _seal(self, key: DialogKey, record: Record, wrapped: bytes) -> SealedDialog:
        dialog, bound = self._dialog, record.digest()
        content = key.digest(self._content)
        metadata = None if dialog.metadata is None else contents.encode(dialog.metadata)
        return SealedDialog(
            record=record,
            language=dialog.utterances[0].language,
            messages=len(dialog.utterances),
            opened_at=to_micros(dialog.opened_at),
            received_at=to_micros(dialog.utterances[-1].received_at),
            receipt=self._sign(record, len(dialog.utterances), content),
            withdrawal_hash=withdrawal_hash(key.withdrawal_code()),
            content=content,
            wrapped=wrapped,
            texts=self._vault.seal(
                key, "texts", contents.encode([_line(said) for said in dialog.utterances]), dialog.id, bound
            ),
            customer=self._vault.seal(key, "customer", dialog.customer_id.encode(), dialog.id, bound),
            metadata=None if metadata is None else self._vault.seal(key, "metadata", metadata, dialog.id, bound),
            heads=tuple(
                MessageHead(said.role, said.language, to_micros(said.received_at)) for said in dialog.utterances
            ),
        )


def _line(said: Utterance) -> Line:
    return Line(said.text, None if said.sent_at is None else to_micros(said.sent_at), said.spelt)
