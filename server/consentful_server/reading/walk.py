"""A walk over a list, page by page: its place, and the selection of its next page. Pure.

    Walk()                           at the beginning; the read of its first page makes its horizon
    Walk(horizon)                    the same, below a horizon that was made before
    Walk(horizon, after, since)      after a row
    Walk(horizon, since=horizon)     at the end, in commit order: the next page shows what is stored later

A page never depends on rows of the one before: the store tells whether more rows follow, and they are read anew.
"""

import msgspec

from ..archive.query import Filter, Horizon, Order, Position, Selection


class Walk(msgspec.Struct, frozen=True):
    """The place of a walk: after a row, or, in commit order, at the horizon where it last ended."""

    horizon: Horizon | None = None
    after: Position | None = None
    since: Horizon | None = None

    def select(self, wanted: Filter, purposes: tuple[str, ...] | None, order: Order, length: int) -> Selection:
        """Return the selection of the next page, which shows up to `length` rows."""
        return Selection(
            filter=wanted,
            order=order,
            horizon=self.horizon,
            limit=length,
            after=self.after,
            since=self.since,
            purposes=purposes,
        )

    def below(self, horizon: Horizon) -> "Walk":
        """Return the walk below the horizon that its first page was read with."""
        return Walk(horizon, self.after, self.since)

    def past(self, order: Order, last: Position | None) -> "Walk":
        """Return the walk after the row `last`; None means that it has reached its end."""
        if last is not None:
            return Walk(self.horizon, last, self.since)
        return Walk(self.horizon, since=self.horizon) if order == "stored" else self
