"""CSV (RFC 4180): UTF-8, a header line, CRLF. What a spreadsheet would run as a formula is defused."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from . import Shape
from .fields import FIELDS, Type

_DANGEROUS: Final = frozenset("=+-@\t\r\n＝＋－＠")


class Sheet:
    """An `Encoder` for CSV."""

    def __init__(self, shape: Shape) -> None:
        self._fields = FIELDS[shape]
        self._begun = False

    def block(self, rows: Sequence[Any]) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        if not self._begun:
            writer.writerow([field.name for field in self._fields])
            self._begun = True
        cells = [(field.of, _CELLS[field.type]) for field in self._fields]
        writer.writerows([[cell(of(row)) for of, cell in cells] for row in rows])
        return text.getvalue().encode()

    def finish(self) -> bytes:
        return b"" if self._begun else self.block(())


def defused(text: str | None) -> str:
    """Return a text that no spreadsheet takes for a formula: an apostrophe goes before one that looks like it."""
    if not text:
        return ""
    return f"'{text}" if text[0] in _DANGEROUS else text


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _number(number: int) -> int:
    return number


def _labels(labels: Sequence[str]) -> str:
    return defused(" ".join(labels))


def _lines(lines: Sequence[Any]) -> str:
    return msgspec.json.encode(lines).decode()


_CELLS: Final[Mapping[Type, Callable[[Any], Any]]] = {
    "text": defused,
    "label": defused,
    "labels": _labels,
    "number": _number,
    "time": _moment,
    "lines": _lines,
}
