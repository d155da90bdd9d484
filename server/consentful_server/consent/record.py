"""The consent record: who agreed to what, when and how (GDPR art. 7(1)). Pure.

It is stored in the dialog's own transaction, and every seal of the dialog is bound to its digest.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from .notices import Wording


class Record(msgspec.Struct, frozen=True, array_like=True):
    """Who agreed to what, when and how (GDPR art. 7(1)). Times are microseconds since the epoch."""

    dialog_id: str
    customer: str
    """The customer's pseudonym."""
    owner: str
    """The name of the chatbot's credential."""
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
        """Return the SHA-256 of the record as MessagePack, with its fields in this order."""
        return hashlib.sha256(_encode(self)).digest()


_encode: Final = msgspec.msgpack.Encoder().encode


def canonical_content(customer_id: str, notice_id: str, messages: Iterable[tuple[int, str, str, str | None]]) -> bytes:
    """Return the bytes by which two dialogs are compared: customer, notice, and each message's seq, role, text and
    language.

    Purposes are compared separately, because a replay may narrow them. The bytes contain text: digest them at once.
    """
    return _encode([1, customer_id, notice_id, list(messages)])


def expiry(decided_at: datetime, wording: Wording) -> datetime:
    """Return when the dialog expires (GDPR art. 5(1)(e)); it is fixed when the dialog is stored."""
    return decided_at + wording.retention
