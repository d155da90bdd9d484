"""Compression of what is sent on a WebSocket: permessage-deflate (RFC 7692)."""

import zlib
from typing import Final

_TAIL: Final = b"\x00\x00\xff\xff"
"""Ends each flush, and is left out of the message (RFC 7692 §7.2.1)."""


class Deflate:
    """Compresses the messages of one connection, in order."""

    __slots__ = ("_compressor", "_flush")

    def __init__(self, window_bits: int, *, keeps_window: bool) -> None:
        self._compressor = zlib.compressobj(zlib.Z_BEST_SPEED, wbits=-window_bits)
        # A full flush forgets what was sent before: a client without context takeover cannot refer to it.
        self._flush = zlib.Z_SYNC_FLUSH if keeps_window else zlib.Z_FULL_FLUSH

    def __call__(self, message: bytes) -> bytes:
        compressed = self._compressor.compress(message) + self._compressor.flush(self._flush)
        return compressed.removesuffix(_TAIL)
