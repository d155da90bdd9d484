"""NDJSON: one JSON object a line. Fields that the caller may not see are left out."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

_encode_lines: Final = msgspec.json.Encoder().encode_lines


class NdjsonEncoder:
    """An `Encoder` for NDJSON."""

    def block(self, rows: Sequence[Any]) -> bytes:
        return _encode_lines(rows)

    def finish(self) -> bytes:
        return b""
