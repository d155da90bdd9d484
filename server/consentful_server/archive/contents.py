"""What is inside the seals: the texts of a dialog as one, and its metadata, in MessagePack."""

from typing import Final

import msgspec


class Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One message inside the seal: text, microseconds of `sent_at`, the language as the chatbot spelt it."""

    text: str
    sent_at: int | None
    spelt: str | None

    def __repr__(self) -> str:
        return f"Line(text=<{len(self.text)} characters>)"


encode: Final = msgspec.msgpack.Encoder().encode
decode_lines: Final = msgspec.msgpack.Decoder(list[Line]).decode
decode_metadata: Final = msgspec.msgpack.Decoder(dict[str, str]).decode
