"""What a database knows of itself: its deployment's id, and the check values of its keys. Nothing here is secret."""

from collections.abc import Mapping
from typing import Protocol


class Facts(Protocol):
    """The store's facts. One that was stated is never changed."""

    async def all(self) -> dict[str, bytes]: ...

    async def state(self, facts: Mapping[str, bytes]) -> None:
        """Add facts; one that is known already stays as it is."""
        ...
