"""Formats: rows become bytes, a block at a time, in memory that does not grow with the number of rows.

An encoder is one stream's. It is called off the event loop, on whatever thread reads the rows.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final, Literal, Protocol, TypeAlias

from ...errors import NotAcceptable

Shape: TypeAlias = Literal["messages", "dialogs", "chat"]
"""What a row is: a message, a dialog without its words, or a dialog as language models are trained on."""

Format: TypeAlias = Literal["ndjson", "csv", "parquet", "arrow"]

MEDIA: Final[Mapping[Format, str]] = {
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}

_COLUMNAR: Final = ("parquet", "arrow")


class Encoder(Protocol):
    """Writes one stream."""

    def block(self, rows: Sequence[Any]) -> bytes:
        """Return what can be sent of all rows so far; empty while a group of rows fills."""
        ...

    def finish(self) -> bytes:
        """Return the rest, and what closes the format."""
        ...


def offered() -> dict[Format, str]:
    """Return the formats that this installation streams in, with their media types."""
    has_columns = find_spec("pyarrow") is not None
    return {name: media for name, media in MEDIA.items() if has_columns or name not in _COLUMNAR}


def encoder(form: Format, shape: Shape) -> Encoder:
    """Return an encoder for one stream.

    Raises:
        NotAcceptable: If it needs pyarrow, which is not installed (extra `data`).
    """
    if form not in offered():
        raise NotAcceptable(", ".join(offered().values()))
    if form == "ndjson":
        from .ndjson import Lines  # noqa: PLC0415

        return Lines()
    if form == "csv":
        from .csv import Sheet  # noqa: PLC0415

        return Sheet(shape)
    from .columns import ArrowStream, ParquetFile  # noqa: PLC0415 - pyarrow is an extra, and slow to load

    return ArrowStream(shape) if form == "arrow" else ParquetFile(shape)
