"""Content codings of responses (RFC 9110 §8.4): zstd (RFC 8878) and gzip, streams block by block."""

import sys
import zlib
from collections.abc import Mapping
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
_BEST: Final[Mapping[Coding, int]] = {"zstd": 19, "gzip": 9}
"""The levels for what is compressed once and sent often."""


class Compressor(Protocol):
    """Compresses one stream."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def compressed(data: bytes, coding: Coding) -> bytes:
    """Return data that is sent often, as small as its coding makes it; 100 kB take some 20 ms."""
    if coding == "zstd":
        return zstd.compress(data, _BEST[coding])
    return zlib.compress(data, _BEST[coding], _GZIP)


def compressor(coding: Coding) -> Compressor:
    """Return a compressor for one stream."""
    if coding == "zstd":
        return zstd.ZstdCompressor()
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
