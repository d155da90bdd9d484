"""CSV (RFC 4180): UTF-8, a header line, CRLF. Cells that a spreadsheet would run as a formula are defused.

Where the decimal separator is a comma, spreadsheets separate cells at `;`, others at tabs, whatever the file's name
says. Quotes do not help then: such a program sees a quote in the middle of a cell, and ends the cell at the next `;`,
tab or line break. So what follows one of these within a text is defused as well (OWASP, CSV injection).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from . import Shape
from .fields import FIELDS, Type

BOM: Final = "\ufeff"
"""Tells Excel that a file is UTF-8; most other programs would take it for a part of the first column's name."""

_FORMULA: Final = "=+\\-@＝＋－＠"  # some spreadsheets accept the full-width forms, too
_UNSEEN: Final = (
    *((0x00, 0x08), (0x0B, 0x0C), (0x0E, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C)),
    *((0x115F, 0x1160), (0x1680, 0x1680), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F)),
    *((0x205F, 0x206F), (0x3000, 0x3000), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0)),
    *((0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)
"""What Unicode calls a control, white space, or ignorable by default, but for what separates cells and lines."""

_SKIPPED: Final = "[" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in _UNSEEN) + '"]*'
_DANGEROUS: Final = re.compile(
    rf"""(?: ^ (?={_SKIPPED}[\t\r\n])      # at the beginning, also what a program may strip
           | (?:^|(?<=[;\t\r\n])) (?={_SKIPPED}[{_FORMULA}]) )""",
    re.VERBOSE,
)
"""The places where a formula could begin. What is not seen and quotes before it are skipped, as lenient programs do."""

_SUSPECT: Final = frozenset('=+-@＝＋－＠"').union(*(map(chr, range(first, last + 1)) for first, last in _UNSEEN))
_QUOTED: Final = re.compile('[",;\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]')
"""Separators of any locale, and everything at which a program may split lines (`str.splitlines`)."""


class CsvEncoder:
    """An `Encoder` for CSV."""

    def __init__(self, shape: Shape, *, bom: bool = False) -> None:
        self._fields = FIELDS[shape]
        self._before = BOM if bom else ""
        self._begun = False

    def block(self, rows: Sequence[Any]) -> bytes:
        columns = [_COLUMNS[field.type](list(map(field.of, rows))) for field in self._fields]
        lines = list(map(",".join, zip(*columns, strict=True)))
        if not self._begun:
            lines.insert(0, self._before + ",".join(field.name for field in self._fields))
            self._begun = True
        return "\r\n".join([*lines, ""]).encode()

    def finish(self) -> bytes:
        return b"" if self._begun else self.block(())


def defused(text: str | None) -> str:
    """Return a text in which no spreadsheet finds a formula: an apostrophe precedes whatever could be one."""
    return "" if not text else text if _is_harmless(text) else _DANGEROUS.sub("'", text)


def cell(text: str | None) -> str:
    """Return the text as a cell: defused, and quoted if it contains a quote, a separator or a line break.

    The csv module examines every character in Python's C API and took as long as the rest of an export.
    """
    if not text:
        return ""
    if _is_harmless(text):
        is_special = '"' in text or "," in text
    else:
        text = _DANGEROUS.sub("'", text)
        is_special = _QUOTED.search(text) is not None
    return '"' + text.replace('"', '""') + '"' if is_special else text


def _is_harmless(text: str) -> bool:
    """Whether the text cannot hold a formula. Line breaks, tabs and all spaces but U+0020 are not printable."""
    return text[0] not in _SUSPECT and ";" not in text and text.isprintable()


def _texts(texts: Sequence[str | None]) -> Iterable[str]:
    return map(cell, texts)


def _labels(labels: Sequence[str | None]) -> Iterable[str]:
    spelt = {label: cell(label) for label in set(labels)}
    return map(spelt.__getitem__, labels)


def _numbers(numbers: Sequence[int | None]) -> Iterable[str]:
    return ["" if number is None else str(number) for number in numbers]


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
    "id": _labels,
    "label": _labels,
    "labels": _lists,
    "number": _numbers,
    "time": _times,
    "lines": _lines,
}
