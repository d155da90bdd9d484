"""Tables of what was read. pyarrow, pandas, polars and datasets are loaded when they are asked for, not before."""

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final

from .rows import KeptMessage

_COLUMNS: Final = (
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
)


def needed(name: str) -> Any:
    """Return a module that the SDK alone does not bring.

    Raises:
        ImportError: If it is not installed; it says how to.
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


def schema() -> Any:
    """Return the `pyarrow.Schema` of messages, as the service streams them."""
    pa = needed("pyarrow")
    types = {
        "text": pa.string(),
        "number": pa.int32(),
        "label": pa.dictionary(pa.int32(), pa.string()),
        "time": pa.timestamp("us", "UTC"),
    }
    return pa.schema([pa.field(name, types[kind], nullable) for name, kind, nullable in _COLUMNS])


def of(messages: Sequence[KeptMessage]) -> Any:
    """Return messages as a `pyarrow.Table`."""
    columns = {name: [getattr(message, name) for message in messages] for name, _, _ in _COLUMNS}
    return needed("pyarrow").table(columns, schema=schema())


def to_dataset(table: Any) -> Any:
    """Return a Hugging Face `datasets.Dataset`, which knows no dictionaries: labels become plain texts."""
    pa, datasets = needed("pyarrow"), needed("datasets")
    fields = [field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field for field in table.schema]
    plain = pa.schema(fields)
    return datasets.Dataset(table.cast(plain) if table.num_rows else plain.empty_table())  # it wants a chunk at least


class Progress:
    """A bar in a terminal or a notebook, if tqdm is installed; nothing elsewhere."""

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
