"""Tables of stored data. pyarrow, pandas, polars and datasets are imported only when they are needed."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final

from .filters import Shape
from .rows import KeptMessage

_COLUMNS: Final[Mapping[Shape, tuple[tuple[str, str, bool], ...]]] = {
    "messages": (
        ("dialog_id", "text", False),
        ("seq", "number", False),
        ("customer", "text", False),
        ("customer_id", "text", True),
        ("role", "label", False),
        ("text", "text", False),
        ("language", "label", True),
        ("bot", "label", True),
        ("sent_at", "time", True),
        ("received_at", "time", False),
        ("stored_at", "time", False),
    ),
    "dialogs": (
        ("dialog_id", "text", False),
        ("customer", "text", False),
        ("customer_id", "text", True),
        ("language", "label", True),
        ("bot", "label", True),
        ("messages", "number", False),
        ("opened_at", "time", False),
        ("received_at", "time", False),
        ("stored_at", "time", False),
        ("expires_at", "time", False),
        ("notice_id", "label", False),
        ("notice_language", "label", False),
        ("notice_sha256", "label", False),
        ("purposes", "labels", False),
        ("given_by", "label", False),
    ),
    "chat": (
        ("dialog_id", "text", False),
        ("customer", "text", False),
        ("customer_id", "text", True),
        ("language", "label", True),
        ("bot", "label", True),
        ("stored_at", "time", False),
        ("messages", "lines", False),
    ),
    "annotations": (
        ("dialog_id", "text", False),
        ("seq", "number", True),
        ("annotator", "label", False),
        ("labels", "labels", False),
        ("note", "text", True),
        ("review", "label", True),
        ("written_at", "time", False),
    ),
}
"""Name, type and whether it may be null. `label` is a text with few values, `lines` a list of role and content."""


def needed(name: str) -> Any:
    """Return an optional module.

    Raises:
        ImportError: If it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        package = name.partition(".")[0]
        also = "" if package == "pyarrow" else f" {package}"
        raise ImportError(f"this needs {package}: pip install 'consentful[data]'{also}", name=name) from None


def read(stream: bytes) -> Any:
    """Return an Arrow IPC stream as a `pyarrow.Table`."""
    return needed("pyarrow.ipc").open_stream(stream).read_all()


def schema(shape: Shape = "messages") -> Any:
    """Return the `pyarrow.Schema` of a shape, the same as in the service's exports."""
    pa = needed("pyarrow")
    line = pa.struct([pa.field("role", pa.string(), False), pa.field("content", pa.string(), False)])
    types = {
        "text": pa.string(),
        "number": pa.int32(),
        "label": pa.dictionary(pa.int32(), pa.string()),
        "labels": pa.list_(pa.field("item", pa.string(), False)),
        "time": pa.timestamp("us", "UTC"),
        "lines": pa.list_(pa.field("item", line, False)),
    }
    return pa.schema([pa.field(name, types[kind], nullable) for name, kind, nullable in _COLUMNS[shape]])


def plain(table_schema: Any) -> Any:
    """Return the schema with strings instead of dictionaries, which JSON readers and `datasets` do not know."""
    pa = needed("pyarrow")
    fields = [field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field for field in table_schema]
    return pa.schema(fields)


def of(messages: Sequence[KeptMessage]) -> Any:
    """Return messages as a `pyarrow.Table`."""
    columns = {name: [getattr(message, name) for message in messages] for name, _, _ in _COLUMNS["messages"]}
    return needed("pyarrow").table(columns, schema=schema())


def to_dataset(table: Any) -> Any:
    """Return a Hugging Face `datasets.Dataset`. It does not support dictionaries, so they become plain strings."""
    datasets = needed("datasets")
    strings = plain(table.schema)
    return datasets.Dataset(table.cast(strings) if table.num_rows else strings.empty_table())  # it needs one chunk


class Progress:
    """A progress bar in a terminal or a notebook, if tqdm is installed; elsewhere nothing."""

    def __init__(self, unit: str, *, scale: bool = False) -> None:
        self._bar: Any = None
        if (tqdm := _tqdm()) is not None:
            self._bar = tqdm.tqdm(unit=unit, unit_scale=scale, leave=False)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, count: int) -> None:
        if self._bar is not None:
            self._bar.update(count)


def _tqdm() -> ModuleType | None:
    if not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        return None
    try:
        return importlib.import_module("tqdm.auto")
    except ModuleNotFoundError:
        return None
