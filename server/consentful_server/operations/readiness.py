"""Whether the service accepts new dialogs, part by part: with several workers, whether all of them do.

part      is not ready while, in any worker,
serving   the server drains
chores    a background task has failed for five minutes: a server that cannot erase should not store more
store     the last write failed, and none has succeeded since
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from ..errors import ChoresFailing, OutcomeUnknown, Overloaded, Refusal, StorageFailed
from ..service import Service
from ..workers.parts import Fault, Parts

_REFUSALS: Final[Mapping[str, Callable[[], Refusal]]] = {
    each.code: each for each in (Overloaded, StorageFailed, OutcomeUnknown)
}


class Readiness:
    """The readiness of one process, and of all together. `check_chores` raises while background work keeps failing."""

    def __init__(self, service: Service, check_chores: Callable[[], None]) -> None:
        self._service = service
        self._check_chores = check_chores
        self._checks: Mapping[str, Callable[[], Awaitable[None]]] = {
            "serving": self._serves,
            "chores": self._does_chores,
            "store": self._writes,
        }

    async def check(self) -> None:
        """Check that every part of every worker is ready.

        Raises:
            Refusal: Of the first part that is not.
        """
        for refusal in (await self.look_at_all()).values():
            if refusal is not None:
                raise refusal

    async def look_at_all(self) -> dict[str, Refusal | None]:
        """Return the refusal of each part, in this worker or in another, None of one that is ready in all.

        Raises:
            Overloaded: If the other workers cannot be asked.
        """
        found = await self.look()
        if not any(found.values()):  # else the answer is known; and without a supervisor there is nobody to ask
            others = await self._service.joined_parts()
            found = {name: _refusal(others.get(name)) for name in found}
        return found

    async def parts(self) -> Parts:
        """Return the parts of this process, for other workers."""
        return {name: refusal and _fault(refusal) for name, refusal in (await self.look()).items()}

    async def look(self) -> dict[str, Refusal | None]:
        """Return the refusal of each part of this process, None of one that is ready, and publish what was found."""
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


def _fault(refusal: Refusal) -> Fault:
    return Fault(refusal.code, refusal.names if isinstance(refusal, ChoresFailing) else ())


def _refusal(fault: Fault | None) -> Refusal | None:
    if fault is None:
        return None
    return ChoresFailing(fault.chores) if fault.code == ChoresFailing.code else _REFUSALS[fault.code]()
