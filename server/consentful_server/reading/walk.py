"""A walk over a list, page by page: its place, and the selection of its next page. Pure.

    Walk(horizon)                    at the beginning
    Walk(horizon, after, since)      after a row
    Walk(horizon, since=horizon)     at the end, in commit order: the next page shows what is stored later

Each selection asks for one row more than the page shows: if that row exists, there is a next page. The row itself is
read again there, so a page never depends on rows of the one before.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from ..archive.query import Filter, Horizon, Order, Position, Selection

T = TypeVar("T")


class Walk(msgspec.Struct, frozen=True):
    """The place of a walk: after a row, or, in commit order, at the horizon where it last ended."""

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
        """Return the walk after the row `last`; None means that it has reached its end."""
        if last is not None:
            return Walk(self.horizon, last, self.since)
        return Walk(self.horizon, since=self.horizon) if order == "stored" else self


def shown(rows: Sequence[T], selection: Selection) -> tuple[Sequence[T], T | None]:
    """Return the rows that the page shows, and the last of them if more rows follow."""
    length = selection.limit - 1
    return rows[:length], rows[length - 1] if len(rows) > length else None
