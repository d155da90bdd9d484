"""Formats: rows become bytes block by block, in memory that does not grow with the number of rows.

Each stream has its own encoder. It is called off the event loop, by the thread that reads the rows, one block at a
time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Literal, Protocol, TypeAlias

from ...errors import NotAcceptable

Shape: TypeAlias = Literal["messages", "dialogs", "chat", "annotations"]
"""A row is a message, a dialog without its messages, a dialog in the shape that language models are trained on, or an
annotation.
"""

Format: TypeAlias = Literal["ndjson", "csv", "parquet", "arrow"]

MEDIA: Final[Mapping[Format, str]] = {
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}

CONTENT_TYPES: Final[Mapping[Format, str]] = {**MEDIA, "csv": "text/csv; charset=utf-8"}
"""The Content-Type of each format. Without a charset, programs may read CSV in the encoding of their locale."""

_COLUMNAR: Final = ("parquet", "arrow")


class Encoder(Protocol):
    """Encodes one stream."""

    def block(self, rows: Sequence[Any]) -> bytes:
        """Return the bytes that are ready after these rows; empty while a row group fills."""
        ...

    def finish(self) -> bytes:
        """Return the remaining bytes, which end the format."""
        ...


@cache
def has_columns() -> bool:
    """Return whether pyarrow is installed. It is looked for once, because that reads folders."""
    return find_spec("pyarrow") is not None


def offered() -> dict[Format, str]:
    """Return the formats that this installation supports, with their media types."""
    return {name: media for name, media in MEDIA.items() if name not in _COLUMNAR or has_columns()}


def hint() -> str:
    """Return how this installation gets the formats that it does not support; empty if it supports all."""
    if len(offered()) == len(MEDIA):
        return ""
    return "Parquet and Arrow need the extra `data` on the server: pip install 'consentful[server,data]'"


async def load(form: Format) -> None:
    """Load what the format's encoder needs: pyarrow takes a tenth of a second, once, for which nobody should wait."""
    if form in _COLUMNAR and has_columns():
        await asyncio.to_thread(import_module, ".columns", __name__)


def encoder(form: Format, shape: Shape, *, bom: bool = False) -> Encoder:
    """Return a new encoder for one stream. With `bom`, CSV begins with a byte order mark.

    Raises:
        NotAcceptable: If it needs pyarrow, which is not installed (extra `data`).
    """
    if form not in offered():
        raise NotAcceptable(", ".join(offered().values()), hint())
    if form == "ndjson":
        from .ndjson import NdjsonEncoder  # noqa: PLC0415

        return NdjsonEncoder()
    if form == "csv":
        from .csv import CsvEncoder  # noqa: PLC0415

        return CsvEncoder(shape, bom=bom)
    from .columns import ArrowStream, ParquetFile  # noqa: PLC0415 - pyarrow is an extra, and slow to load

    return ArrowStream(shape) if form == "arrow" else ParquetFile(shape)
