"""Numbers that ascend in commit order: of dialogs, and of places in the feed of erasures.

A sequence would not do: it gives out numbers in the order in which transactions ask, and they commit in another. Here
the last number is a row, changed in the writer's transaction, and the writer's lock lets one transaction at a time do
that. So whoever reads a last number sees everything that was committed up to it, and nothing comes below it later. A
transaction that is rolled back gives its numbers back.
"""

from typing import Final, Literal, TypeAlias

from .connection import Connection

Series: TypeAlias = Literal["dialogs", "erasures"]

LAST_DIALOG: Final = "SELECT last FROM numbers WHERE name = 'dialogs'"
_DRAW: Final = "UPDATE numbers SET last = greatest(last, $3) + $2 WHERE name = $1 RETURNING last"


def drawing(many: str, above: str) -> str:
    """Return the statement that draws so many numbers of dialogs as `draw` does; both are expressions."""
    return f"UPDATE numbers SET last = greatest(last, {above}) + {many} WHERE name = 'dialogs' RETURNING last"


async def draw(db: Connection, series: Series, many: int, *, above: int = 0) -> int:
    """Take so many numbers, all above what was given out before and above `above`; return the last of them."""
    return await db.fetchval(_DRAW, series, many, above)
