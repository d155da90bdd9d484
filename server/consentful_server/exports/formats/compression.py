"""Content codings of streams (RFC 9110 §8.4): zstd (RFC 8878) and gzip, a block at a time."""

import sys
import zlib
from typing import Final, Literal, Protocol, TypeAlias

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Coding: TypeAlias = Literal["zstd", "gzip"]
CODINGS: Final[tuple[Coding, ...]] = ("zstd", "gzip")
"""In the order in which we like them."""

_GZIP: Final = 31
_GZIP_LEVEL: Final = 5


class Squeezer(Protocol):
    """Compresses one stream."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def squeezer(coding: Coding) -> Squeezer:
    """Return a compressor for one stream."""
    if coding == "zstd":
        return zstd.ZstdCompressor()
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
