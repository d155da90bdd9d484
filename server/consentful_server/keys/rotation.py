"""Rotation: the master key has epochs, and when one has ended, no earlier copy of an erased key opens anywhere.

    make      the next master, durably               a crash leaves a file that nothing knows of, for the next time
    begin     the epoch, with its check value        from here on no key is kept under an earlier master
    rewrap    every live key, a batch at each step   in place, at equal length; a crash leaves some for the next step
    empty     the log, and put that on record        from here on the old master may be missing at a start
    destroy   the old master                         done again after a crash: what is gone is gone
    end       the epoch, on record                   the erasures that were made under it are complete

Each step looks at the store for what is next, so another process can go on wherever one died. Every step may be done
twice. Of many processes one rotates; the others look a master up when they meet a key under it.
"""

import asyncio
import logging
import secrets
from datetime import timedelta
from typing import Final, NamedTuple

from ..clock import Clock, to_micros
from ..leases import Leases
from .masters import Masters
from .roots import wrapping_check
from .store import Epoch, EpochStore, Rewrapped, WrappedKey
from .vault import Unopenable, Vault

_AT_ONCE: Final = 2_000
"""Keys that one step rewraps: about 20 ms of the writer, once a second."""

_LEASE: Final = "rotation"
_LEASE_LENGTH: Final = timedelta(minutes=5)
_MICROSECOND: Final = timedelta(microseconds=1)

_log: Final = logging.getLogger("consentful.rotation")


class RotationStatus(NamedTuple):
    """How the rotation stands: the latest epoch, its age, and the keys that are wrapped under earlier ones."""

    epoch: int
    age: timedelta
    left: int
    incomplete: int


class Rotation:
    """Ends epochs when their time is over, a step at a time."""

    def __init__(
        self,
        store: EpochStore,
        leases: Leases,
        vault: Vault,
        masters: Masters,
        deployment: bytes,
        clock: Clock,
        length: timedelta,
    ) -> None:
        self._store = store
        self._leases = leases
        self._vault = vault
        self._masters = masters
        self._deployment = deployment
        self._clock = clock
        self._length = length
        self._holder = secrets.token_hex(8)
        self._passed = 0

    async def tick(self) -> bool:
        """Do what is next, if anything is; whether something was done."""
        living = await self._living()
        if len(living) == 1 and self._age(living[0]) < self._length:
            return False
        if not await self._leases.take(_LEASE, self._holder, _LEASE_LENGTH):
            return False
        if len(living) == 1:
            await self.begin()
            return True
        return await self._go_on(living)

    async def turn(self) -> bool:
        """End the present epoch now; False if something holds it up, and a running server will go on."""
        await self.begin()
        while len(living := await self._living()) > 1:
            if not await self._go_on(living):
                return False
        return True

    async def begin(self) -> None:
        """Begin the next epoch."""
        number = (await self._store.all())[-1].number + 1
        await asyncio.to_thread(self._masters.make, number)
        masters = await asyncio.to_thread(self._masters.all)
        check = wrapping_check(number, masters[number], self._deployment)
        await self._store.begin(number, to_micros(self._clock.now()), check)
        self._vault.renew(masters)
        self._passed = 0
        _log.info("epoch begun", extra={"epoch": number})

    async def renew(self) -> None:
        """Take up the masters that there are now, and let go of those that were destroyed."""
        known = {epoch.number for epoch in await self._store.all()}
        masters = await asyncio.to_thread(self._masters.all)
        self._vault.renew({number: master for number, master in masters.items() if number in known})

    async def status(self) -> RotationStatus:
        """Return how the rotation stands."""
        living = await self._living()
        latest = living[-1]
        # Counting looks at every key; once the earlier masters are destroyed there is none to count.
        left = await self._store.left(latest.number) if len(living) > 1 else 0
        return RotationStatus(latest.number, self._age(latest), left, await self._store.incomplete())

    async def _living(self) -> list[Epoch]:
        return [epoch for epoch in await self._store.all() if epoch.destroyed_at is None]

    async def _go_on(self, living: list[Epoch]) -> bool:
        latest = living[-1].number
        keys = await self._store.keys_before(latest, self._passed, _AT_ONCE)
        if keys:
            rewrapped = [self._rewrapped(key, latest) for key in keys]
            await self._store.rewrap([key for key in rewrapped if key is not None])
            self._passed = keys[-1].dialog
            return True
        self._passed = 0
        if not await self._store.empty(latest, to_micros(self._clock.now())):
            return False
        for epoch in living[:-1]:
            await asyncio.to_thread(self._masters.destroy, epoch.number)
        await self._store.end(latest, to_micros(self._clock.now()))
        await self.renew()
        _log.info("epoch ended", extra={"epoch": latest - 1})
        return True

    def _rewrapped(self, key: WrappedKey, epoch: int) -> Rewrapped | None:
        try:
            return Rewrapped(key.dialog, key.wrapped, self._vault.rewrap(key.wrapped, key.dialog_id, epoch))
        except Unopenable:  # it was altered; with its master a backup could still mend it, so the operator decides
            _log.error("a key cannot be rewrapped; restore it, or erase", extra={"dialog": key.dialog_id})
            return None

    def _age(self, epoch: Epoch) -> timedelta:
        return (to_micros(self._clock.now()) - epoch.begun_at) * _MICROSECOND
