"""CSV (RFC 4180): UTF-8, a header line, CRLF. Cells that a spreadsheet would run as a formula are defused."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from . import Shape
from .fields import FIELDS, Type

# OWASP, CSV injection; some spreadsheets accept the full-width forms, too.
_DANGEROUS: Final = frozenset("=+-@\t\r\n＝＋－＠")


class CsvEncoder:
    """An `Encoder` for CSV."""

    def __init__(self, shape: Shape) -> None:
        self._fields = FIELDS[shape]
        self._begun = False

    def block(self, rows: Sequence[Any]) -> bytes:
        columns = [_COLUMNS[field.type](list(map(field.of, rows))) for field in self._fields]
        lines = list(map(",".join, zip(*columns, strict=True)))
        if not self._begun:
            lines.insert(0, ",".join(field.name for field in self._fields))
            self._begun = True
        return "\r\n".join([*lines, ""]).encode()

    def finish(self) -> bytes:
        return b"" if self._begun else self.block(())


def defused(text: str | None) -> str:
    """Return a text that no spreadsheet takes for a formula: one that could be gets an apostrophe in front."""
    if not text:
        return ""
    return f"'{text}" if text[0] in _DANGEROUS else text


def cell(text: str | None) -> str:
    """Return the text as a cell: defused, and quoted if it contains a quote, a comma or a line break.

    The csv module examines every character in Python's C API and took as long as the rest of an export.
    """
    safe = defused(text)
    is_special = '"' in safe or "," in safe or "\n" in safe or "\r" in safe
    return '"' + safe.replace('"', '""') + '"' if is_special else safe


def _texts(texts: Sequence[str | None]) -> Iterable[str]:
    return map(cell, texts)


def _labels(labels: Sequence[str | None]) -> Iterable[str]:
    spelt = {label: cell(label) for label in set(labels)}
    return map(spelt.__getitem__, labels)


def _numbers(numbers: Sequence[int]) -> Iterable[str]:
    return map(str, numbers)


def _lists(lists: Sequence[Sequence[str]]) -> Iterable[str]:
    return _labels([" ".join(labels) for labels in lists])


def _times(moments: Sequence[datetime | None]) -> Iterable[str]:
    """Format times as JSON does (RFC 3339), but always with microseconds.

    Parsers infer a column's type from its first cells.
    """
    spelt: list[str | None] = msgspec.to_builtins(moments)
    return ["" if text is None else text if "." in text else f"{text[:-1]}.000000Z" for text in spelt]


def _lines(rows: Sequence[Sequence[Any]]) -> Iterable[str]:
    return [cell(msgspec.json.encode(lines).decode()) for lines in rows]


_COLUMNS: Final[Mapping[Type, Callable[[Sequence[Any]], Iterable[str]]]] = {
    "text": _texts,
    "label": _labels,
    "labels": _lists,
    "number": _numbers,
    "time": _times,
    "lines": _lines,
}
