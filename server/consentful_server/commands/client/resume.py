"""Resuming an interrupted export: keep the complete rows, and request the rows after the last of them (`after`)."""

import csv
import io
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from ...exports.formats import Format

RESUMABLE: Final[tuple[Format, ...]] = ("ndjson", "csv")
"""The formats without state between rows. Other formats start again."""

_QUOTE: Final = b'"'


class WholeRows(NamedTuple):
    """The complete rows at the start of a file: bytes, number of rows, and the `after` parameter of the last row."""

    size: int
    rows: int
    after: str | None


NOTHING: Final = WholeRows(0, 0, None)


def whole_rows(part: Path, form: Format) -> WholeRows:
    """Return the complete rows of a file that was interrupted."""
    if form not in RESUMABLE or not part.is_file():
        return NOTHING
    return _records(part) if form == "csv" else _lines(part)


def _lines(part: Path) -> WholeRows:
    size, rows, last = 0, 0, b""
    with part.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                size, rows, last = size + len(line), rows + 1, line
    return WholeRows(size, rows, _after(json.loads(last)) if last else None)


def _records(part: Path) -> WholeRows:
    """Return the complete records of a CSV file (RFC 4180). A line break within quotes does not end a record."""
    size, records, head, last, record = 0, 0, b"", b"", b""
    with part.open("rb") as lines:
        for line in lines:
            record += line
            if line.endswith(b"\r\n") and record.count(_QUOTE) % 2 == 0:
                size, records, last, record = size + len(record), records + 1, record, b""
                head = head or last
    if records < 2:
        return WholeRows(size, 0, None)
    names = next(csv.reader([head.decode("utf-8-sig")]))  # without a byte order mark
    (row,) = csv.DictReader(io.StringIO(last.decode(), newline=""), names)  # `splitlines` would split within texts
    return WholeRows(size, records - 1, _after(row))


def _after(row: dict[str, Any]) -> str:
    dialog_id = str(row["dialog_id"]).removeprefix("'")  # the CSV format prefixes an id that begins with a hyphen
    return f"{row['seq']}@{dialog_id}" if "seq" in row else dialog_id
