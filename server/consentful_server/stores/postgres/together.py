"""Several statements in one round trip: each takes longer on its way than the server takes for it.

They become the parts of one `WITH`, which PostgreSQL runs all, in no order: none of them sees what another one writes.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from .connection import Connection

Statement: TypeAlias = tuple[str, Sequence[Any]]
"""A statement that writes, and its values."""

_PLACEHOLDER: Final = re.compile(r"\$(\d+)")


async def run_together(db: Connection, statements: Sequence[Statement]) -> None:
    """Run statements that need nothing of each other."""
    parts: list[str] = []
    values: list[Any] = []
    for index, (sql, mine) in enumerate(statements):
        parts.append(f"s{index} AS ({_moved(sql, len(values))})")
        values += mine
    await db.execute(f"WITH {', '.join(parts)} SELECT", *values)


def _moved(sql: str, by: int) -> str:
    """Return the statement with the numbers of its placeholders raised."""
    return _PLACEHOLDER.sub(lambda found: f"${int(found[1]) + by}", sql)
