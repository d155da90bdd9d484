"""The plaintext of the seals, in MessagePack: all texts of a dialog together, and its metadata; and what they are bound
to.

Filters need the head of each message (role, language, time) and the dialog's language, times and length in plain
columns. So that nobody can alter a column unseen, each line repeats its head, and each seal is bound to the rest
(`bound`). Earlier versions did neither: such a dialog opens as it did.
"""

import hashlib
from typing import Final

import msgspec

from ..consent.record import Record
from .store import MessageHead


class Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One message inside the seal: its text, `sent_at` in microseconds, and the language tag as the chatbot sent it.

    `head` is None if an earlier version sealed it.
    """

    text: str
    sent_at: int | None
    spelt: str | None
    head: MessageHead | None = None

    def __repr__(self) -> str:
        return f"Line(text=<{len(self.text)} characters>)"


def bound(record: Record, language: str | None, messages: int, opened_at: int, received_at: int) -> bytes:
    """Return the digest that the seals of a dialog are bound to."""
    return hashlib.sha256(encode([2, record, language, messages, opened_at, received_at])).digest()


encode: Final = msgspec.msgpack.Encoder().encode
decode_lines: Final = msgspec.msgpack.Decoder(list[Line]).decode
decode_metadata: Final = msgspec.msgpack.Decoder(dict[str, str]).decode
