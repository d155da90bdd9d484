"""A walk over a list of the service, one page at a time."""

from typing import Any, Final, Generic, TypeVar

import msgspec

from .filters import Asked
from .http_client import HttpClient

T = TypeVar("T")

_LIMIT: Final = 1000


class _Page(msgspec.Struct, Generic[T]):
    items: list[T]
    next: str | None
    more: bool = True


class Pages(Generic[T]):
    """Pages of rows. `cursor` is the place of the walk; it stays valid, so a later program can continue there."""

    def __init__(self, client: HttpClient, asked: Asked, row: type[T], cursor: str | None = None) -> None:
        self.cursor = cursor
        self._client = client
        self._asked = asked
        self._kind: type[Any] = _Page[row]
        self._is_over = False

    async def take(self, at_most: int = _LIMIT) -> list[T] | None:
        """Return the next page, of at most so many rows; None at the end. Pages before the end may be empty.

        Raises:
            ConsentfulError: If the page could not be read; the walk stays where it was.
        """
        if self._is_over or at_most < 1:
            return None
        asked = self._asked.but(limit=min(at_most, _LIMIT), cursor=self.cursor)
        page: _Page[T] = await self._client.ask(asked, self._kind)
        self.cursor = page.next
        self._is_over = page.next is None or not page.more
        return page.items
