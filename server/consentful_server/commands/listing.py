"""Lists on the standard output: a table for people, JSON for programs. Neither cuts an id.

A table in a pipe has one line a row, however long. In a terminal, long cells are wrapped between words; ids are single
words, so a table with long ids may be wider than the terminal.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from ..clock import from_micros

AsJson: TypeAlias = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON instead of a table.")]

_UNLIMITED: Final = 100_000


def show(console: Console, headings: Sequence[str], rows: Sequence[Mapping[str, Any]], *, title: str = "") -> None:
    """Print one table row for each of the rows; `headings` are the keys to show."""
    table = Table(title=title or None)
    columns = {heading: [_cell(row[heading]) for row in rows] for heading in headings}
    for heading, cells in columns.items():
        is_of_words = any(" " in cell for cell in cells)
        table.add_column(heading.replace("_", " "), no_wrap=not is_of_words)  # wrapped, an id could not be copied
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    needed = Measurement.get(console, console.options.update(width=_UNLIMITED), table)
    width = max(console.width, needed.minimum) if console.is_terminal else needed.maximum
    Console(file=console.file, width=width).print(table)  # a console prints nothing that is wider than itself


def show_json(value: Any) -> None:
    """Print the value as JSON. Times are RFC 3339 in UTC, and what is absent is null."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def moment(at: int | None) -> datetime | None:
    """Return a time in microseconds since the epoch as a datetime; None stays None."""
    return None if at is None else from_micros(at)


def in_utc(at: datetime | None) -> datetime | None:
    """Return the time with a zone: one without is UTC."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    return f"{value:,}" if isinstance(value, int) else str(value)
