"""A walk over what is kept, page by page: where it stands, and what its next page asks for. Pure.

Each page asks for one row more than it shows, which tells whether there is a next one.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from ..archive.query import Filter, Horizon, Order, Position, Selection

T = TypeVar("T")


class Walk(msgspec.Struct, frozen=True):
    """Where a walk stands: after a row, or, in commit order, at the horizon where it ended the last time."""

    horizon: Horizon
    after: Position | None = None
    since: Horizon | None = None

    def select(self, wanted: Filter, purposes: tuple[str, ...] | None, order: Order, length: int) -> Selection:
        """Return the selection of the next page, which shows `length` rows."""
        return Selection(
            filter=wanted,
            order=order,
            horizon=self.horizon,
            limit=length + 1,
            after=self.after,
            since=self.since,
            purposes=purposes,
        )

    def past(self, order: Order, last: Position | None) -> "Walk":
        """Return where the walk stands after `last`; None means at its end."""
        if last is not None:
            return Walk(self.horizon, last, self.since)
        return Walk(self.horizon, since=self.horizon) if order == "stored" else self


def shown(rows: Sequence[T], selection: Selection) -> tuple[Sequence[T], T | None]:
    """Return the rows that the page shows, and the last of them if there are more after it."""
    length = selection.limit - 1
    return rows[:length], rows[length - 1] if len(rows) > length else None
