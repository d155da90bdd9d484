"""Content codings of streams (RFC 9110 §8.4): zstd (RFC 8878) and gzip, block by block."""

import sys
import zlib
from typing import Final, Literal, Protocol, TypeAlias

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Coding: TypeAlias = Literal["zstd", "gzip"]
CODINGS: Final[tuple[Coding, ...]] = ("zstd", "gzip")
"""In order of preference."""

# wbits of zlib: 16 for the gzip header, 15 for the largest window.
_GZIP: Final = 31
_GZIP_LEVEL: Final = 5


class Compressor(Protocol):
    """Compresses one stream."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def compressor(coding: Coding) -> Compressor:
    """Return a compressor for one stream."""
    if coding == "zstd":
        return zstd.ZstdCompressor()
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
