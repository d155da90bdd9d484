"""The plaintext of the seals, in MessagePack: all texts of a dialog together, and its metadata."""

from typing import Final

import msgspec


class Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One message inside the seal: its text, `sent_at` in microseconds, and the language tag as the chatbot sent it."""

    text: str
    sent_at: int | None
    spelt: str | None

    def __repr__(self) -> str:
        return f"Line(text=<{len(self.text)} characters>)"


encode: Final = msgspec.msgpack.Encoder().encode
decode_lines: Final = msgspec.msgpack.Decoder(list[Line]).decode
decode_metadata: Final = msgspec.msgpack.Decoder(dict[str, str]).decode
