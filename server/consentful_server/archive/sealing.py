"""Sealing: a granted dialog becomes what the store keeps. `opening` is the way back. Pure.

    Sealer(dialog, record)   on the event loop: nothing is sealed yet
    sealer.sealed            on the writer's thread, before its transaction: a new key, all seals, the receipt
    sealer.wrapped_since     on the writer's thread: the key once more, if an epoch has begun since
    sealer.reconcile         on the writer's thread: if the dialog is stored already
    sealer.code              on the event loop: the withdrawal code, once the outcome is known

The dialog does not change meanwhile: it is decided, and accepts no more messages until its outcome is known.

Every seal is bound to the consent record and to the dialog's language, length and times; each line contains its head
(`contents`). If a replay narrows the purposes, the record changes, so all fields are sealed again with the same key,
and the receipt is signed again; key, number and times stay.

(R1) Two nodes store the same dialog, each with its own key: the store keeps the first. `reconcile` compares the
     contents by the stored dialog's key, and `code` derives the withdrawal code from it, so both answers name the
     stored dialog.
(R2) An epoch of the master key begins after the key was wrapped: see `rotation`, R4.
"""

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
from .opening import Opened, unwrap
from .store import MessageHead, SealedDialog, StoredDialog

Sign: TypeAlias = Callable[[Record, int, bytes], str]
"""Returns the receipt for a consent record, a number of messages and the keyed digest of the content."""


class Sealer:
    """Seals one granted dialog; satisfies `store.Candidate`. `sign` makes the receipt."""

    def __init__(self, vault: Vault, dialog: Dialog, record: Record, mark: bytes, sign: Sign) -> None:
        self.mark = mark
        self._vault = vault
        self._dialog = dialog
        self._record = record
        self._sign = sign
        self._key = vault.new_key()
        self._content = b""
        self._code = ""
        self._sealed: SealedDialog | None = None
        self.was_stored = False
        """Whether the dialog turned out to be stored already."""

    @property
    def sealed(self) -> SealedDialog:
        """The sealed dialog, sealed when it is asked for first."""
        if self._sealed is None:
            self._content = self._canonical()
            self._code = self._key.withdrawal_code()
            self._sealed = self._seal(self._key, self._record, self._vault.wrap(self._key, self._dialog.id))
        return self._sealed

    def code(self, stored: StoredDialog) -> str:
        """Return the withdrawal code of the stored dialog, which is this one or the one stored before."""
        if stored.wrapped == self.sealed.wrapped:
            return self._code
        return unwrap(self._vault, stored).withdrawal_code()  # (R1)

    def wrapped_since(self, epoch: int) -> bytes:
        """Return the dialog's key wrapped under the master of this epoch or a later one."""
        if epoch_of(self.sealed.wrapped) >= epoch:
            return self.sealed.wrapped
        return self._vault.wrap(self._key, self._dialog.id, epoch)  # (R2)

    def reconcile(self, stored: StoredDialog) -> StoredDialog:
        """Return what to store when the id is taken: the stored dialog as it is, or with narrower purposes.

        Raises:
            Conflict: If it is another dialog, customer or credential, or would widen the consent.
            Damaged: If the stored dialog's key cannot be opened, or a dialog that is to be narrowed was altered.
        """
        key = unwrap(self._vault, stored)
        is_same = hmac.compare_digest(key.digest(self._content), stored.content)  # (R1)
        record = rules.on_repeat(self._record, stored.record, is_same=is_same)
        self.was_stored = True
        if record is None:
            return stored
        Opened(self._vault, stored).check_heads()  # sealed again, an altered column would pass for the true one
        fresh = self._seal(key, record, stored.wrapped, stored)
        return msgspec.structs.replace(
            stored,
            record=record,
            receipt=fresh.receipt,
            texts=fresh.texts,
            customer=fresh.customer,
            metadata=fresh.metadata,
        )

    def _canonical(self) -> bytes:
        messages = [(seq, it.role, it.text, it.language) for seq, it in enumerate(self._dialog.utterances, 1)]
        return canonical_content(self._dialog.customer_id, self._record.notice_id, messages)

    def _seal(self, key: DialogKey, record: Record, wrapped: bytes, stored: StoredDialog | None = None) -> SealedDialog:
        """Seal the dialog, with the times of the stored one if it is stored already."""
        dialog = self._dialog
        heads = tuple([MessageHead(it.role, it.language, to_micros(it.received_at)) for it in dialog.utterances])
        language, opened_at = dialog.utterances[0].language, to_micros(dialog.opened_at)
        if stored is not None:
            heads, language, opened_at = stored.heads, stored.language, stored.opened_at
        received_at = heads[-1].received_at
        bound = contents.bound(record, language, len(heads), opened_at, received_at)
        content = key.digest(self._content)
        metadata = None if dialog.metadata is None else contents.encode(dialog.metadata)
        return SealedDialog(
            record=record,
            language=language,
            messages=len(heads),
            opened_at=opened_at,
            received_at=received_at,
            receipt=self._sign(record, len(dialog.utterances), content),
            withdrawal_hash=withdrawal_hash(self._code if key is self._key else key.withdrawal_code()),
            content=content,
            wrapped=wrapped,
            # One seal for all texts: as fast as plaintext, where one for each message was not (measured).
            texts=self._vault.seal(
                key, "texts", contents.encode(list(map(_line, dialog.utterances, heads))), dialog.id, bound
            ),
            customer=self._vault.seal(key, "customer", dialog.customer_id.encode(), dialog.id, bound),
            metadata=None if metadata is None else self._vault.seal(key, "metadata", metadata, dialog.id, bound),
            heads=heads,
        )


def _line(utterance: Utterance, head: MessageHead) -> Line:
    sent_at = None if utterance.sent_at is None else to_micros(utterance.sent_at)
    return Line(utterance.text, sent_at, utterance.spelt, head)
