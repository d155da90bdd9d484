"""Arrow IPC streams and Parquet files, with one schema for each shape."""

# pyarrow has no type annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from . import Shape
from .fields import FIELDS, Field, Type

# Arrow's own allocator keeps what each stream freed, for a while and for each thread: many short streams took 5 MB more
# each second, up to 100 MB.
pa.set_memory_pool(pa.system_memory_pool())

_GROUP_ROWS: Final = 65_536
_GROUP_BYTES: Final = 8 * 1024 * 1024
"""A row group is closed at the first of these limits, so that a stream takes constant memory."""

_TIME: Final = pa.timestamp("us", "UTC")
_LABEL: Final = pa.dictionary(pa.int32(), pa.string())
_LINE: Final = pa.struct([pa.field("role", pa.string(), False), pa.field("content", pa.string(), False)])
_TYPES: Final[Mapping[Type, pa.DataType]] = {
    "text": pa.string(),
    "id": pa.string(),
    "label": _LABEL,
    "labels": pa.list_(pa.field("item", pa.string(), False)),
    "number": pa.int32(),
    "time": _TIME,
    "lines": pa.list_(pa.field("item", _LINE, False)),
}


def schema(shape: Shape) -> pa.Schema:
    """Return the documented schema: times are microseconds in UTC, texts with few values are dictionaries."""
    return pa.schema([pa.field(field.name, _TYPES[field.type], field.nullable) for field in FIELDS[shape]])


class _Batches:
    """Makes record batches. Dictionaries only grow and are sent whole: not every reader supports delta dictionaries."""

    def __init__(self, shape: Shape) -> None:
        self.schema = schema(shape)
        self._fields = FIELDS[shape]
        self._seen: dict[str, dict[str, int]] = {field.name: {} for field in self._fields if field.type == "label"}

    def of(self, rows: Sequence[Any]) -> pa.RecordBatch:
        return pa.record_batch([self._column(field, rows) for field in self._fields], schema=self.schema)

    def _column(self, field: Field, rows: Sequence[Any]) -> pa.Array:
        values = [field.of(row) for row in rows]
        if field.type == "label":
            return self._labels(self._seen[field.name], values)
        if field.type == "lines":
            values = [[{"role": line.role, "content": line.content} for line in lines] for lines in values]
        return pa.array(values, _TYPES[field.type])

    def _labels(self, seen: dict[str, int], values: Sequence[str | None]) -> pa.Array:
        numbers = [None if value is None else seen.setdefault(value, len(seen)) for value in values]
        return pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int32()), pa.array(list(seen), pa.string()))


class _Sink(io.RawIOBase):
    """A file object that is emptied after each write."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class ArrowStream:
    """An `Encoder` for the Arrow IPC streaming format: a record batch for each block, then the end-of-stream marker."""

    def __init__(self, shape: Shape) -> None:
        self._batches = _Batches(shape)
        self._sink = _Sink()
        self._writer = pa.ipc.new_stream(self._sink, self._batches.schema)

    def block(self, rows: Sequence[Any]) -> bytes:
        self._writer.write_batch(self._batches.of(rows))
        return self._sink.take()

    def finish(self) -> bytes:
        self._writer.close()
        return self._sink.take()


class ParquetFile:
    """An `Encoder` for Parquet (zstd). Row groups are as large as constant memory allows; the footer comes last."""

    def __init__(self, shape: Shape) -> None:
        self._batches = _Batches(shape)
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(self._sink, self._batches.schema, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0

    def block(self, rows: Sequence[Any]) -> bytes:
        batch = self._batches.of(rows)
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._close_group()
        return self._sink.take()

    def finish(self) -> bytes:
        if self._waiting:
            self._close_group()
        self._writer.close()
        return self._sink.take()

    def _close_group(self) -> None:
        # The batches of a group have dictionaries of different lengths; a Parquet column has one.
        table = pa.Table.from_batches(self._waiting, self._batches.schema).unify_dictionaries()
        self._writer.write_table(table, row_group_size=self._rows)
        self._waiting, self._rows, self._bytes = [], 0, 0
