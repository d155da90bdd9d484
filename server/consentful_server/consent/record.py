"""The consent record: who agreed to what, when and how. It is stored in the dialog's own transaction (GDPR art. 7(1)).

Pure. Everything that is sealed of the dialog is bound to the record's digest.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from .notices import Wording


class Record(msgspec.Struct, frozen=True, array_like=True):
    """Who agreed to what, when and how (GDPR art. 7(1)). Its digest binds every seal of the dialog.

    Times are microseconds since the epoch, as they are stored.
    """

    dialog_id: str
    customer: str
    """The pseudonym."""
    owner: str
    """The credential of the chatbot that asked."""
    bot: str | None
    channel: str
    notice_id: str
    notice_language: str
    notice_sha256: str
    purposes: tuple[str, ...]
    given_by: str
    decided_at: int
    expires_at: int

    def digest(self) -> bytes:
        """Return the SHA-256 of the canonical record (MessagePack, fields in this order)."""
        return hashlib.sha256(_encode(self)).digest()


_encode: Final = msgspec.msgpack.Encoder().encode


def canonical_content(customer_id: str, notice_id: str, said: Iterable[tuple[int, str, str, str | None]]) -> bytes:
    """Return what makes two dialogs the same: customer, notice and each message's seq, role, text and language.

    Purposes are compared apart, because a replay may narrow them. The bytes hold words: digest them at once.
    """
    return _encode([1, customer_id, notice_id, list(said)])


def expiry(decided_at: datetime, wording: Wording) -> datetime:
    """Return when the dialog must be gone (GDPR art. 5(1)(e)); fixed at commit."""
    return decided_at + wording.retention
