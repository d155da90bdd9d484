"""The values of a statement that is put together from conditions, and rows as columns.

Placeholders never stand in a statement's text: PostgreSQL may log that.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any


class Placeholders:
    """Collects values; iterate over it to pass them along with the statement."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def add(self, value: Any) -> str:
        """Return the placeholder of one more value."""
        # PostgreSQL has no NUL in texts, so a text with one equals nothing stored, and neither does the other.
        self._values.append(value.replace("\0", "\ufffd") if isinstance(value, str) else value)
        return f"${len(self._values)}"

    def in_range(self, column: str, language: str) -> str:
        """Return the condition that a column's tag matches a language range (RFC 4647 §3.3.1, basic filtering).

        A range matches the tag itself and every tag that begins with it and a hyphen. In ASCII `.` follows `-`, so the
        second half is a comparison that an index can answer; the column sorts by code point (COLLATE "C").
        """
        same, first, last = self.add(language), self.add(f"{language}-"), self.add(f"{language}.")
        return f"({column} = {same} OR ({column} > {first} AND {column} < {last}))"


def pairs(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[Any, Any]]:
    """Yield rows of two columns as tuples."""
    return ((row[0], row[1]) for row in rows)


def columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Return rows as so many columns, for `unnest`; also if there are no rows."""
    return [[row[column] for row in rows] for column in range(width)]
