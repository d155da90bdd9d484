"""NDJSON: one JSON object a line. Fields that the caller may not see are left out.

JSON escapes control characters, but not the other characters at which some programs split lines: `str.splitlines` of
Python, and what is built on it. They are escaped here, so that every reader finds the same lines.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

_encode_lines: Final = msgspec.json.Encoder().encode_lines
_SEPARATORS: Final = [(separator.encode(), f"\\u{ord(separator):04x}".encode()) for separator in "\x85\u2028\u2029"]
"""NEL, LINE SEPARATOR and PARAGRAPH SEPARATOR. In UTF-8 no other character contains their bytes."""


class NdjsonEncoder:
    """An `Encoder` for NDJSON."""

    def block(self, rows: Sequence[Any]) -> bytes:
        lines = _encode_lines(rows)
        if lines.isascii():  # to look for each separator takes as long as to encode
            return lines
        for separator, escaped in _SEPARATORS:
            lines = lines.replace(separator, escaped)
        return lines

    def finish(self) -> bytes:
        return b""
