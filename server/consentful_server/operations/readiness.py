"""Whether this process accepts new dialogs, part by part.

part      is not ready while
serving   the server drains
chores    a background task has failed for five minutes: a server that cannot erase should not store more
store     the last write failed, and none has succeeded since
"""

from collections.abc import Awaitable, Callable, Mapping

from ..errors import Overloaded, Refusal
from ..service import Service


class Readiness:
    """The readiness of one process. `check_chores` raises while background work keeps failing."""

    def __init__(self, service: Service, check_chores: Callable[[], None]) -> None:
        self._service = service
        self._check_chores = check_chores
        self._checks: Mapping[str, Callable[[], Awaitable[None]]] = {
            "serving": self._serves,
            "chores": self._does_chores,
            "store": self._writes,
        }

    async def check(self) -> None:
        """Check that every part is ready.

        Raises:
            Refusal: Of the first part that is not.
        """
        for refusal in (await self.look()).values():
            if refusal is not None:
                raise refusal

    async def look(self) -> dict[str, Refusal | None]:
        """Return the refusal of each part, None of one that is ready, and publish what was found."""
        found = {name: await _refusal_of(check) for name, check in self._checks.items()}
        metrics = self._service.metrics
        metrics.store_up.set(found["store"] is None)
        metrics.ready.set(not any(found.values()))
        return found

    async def _serves(self) -> None:
        if self._service.is_draining:
            raise Overloaded

    async def _does_chores(self) -> None:
        self._check_chores()

    async def _writes(self) -> None:
        await self._service.store.probe()


async def _refusal_of(check: Callable[[], Awaitable[None]]) -> Refusal | None:
    try:
        await check()
    except Refusal as refusal:
        return refusal
    return None
