"""Rotation of the master key in epochs: when an epoch ends, no earlier copy of an erased key can be opened any more.

Erasing overwrites a dialog's wrapped key. Copies of it in backups, replicas or freed blocks remain, and the master key
could open them. So every few days a new master is created, all live keys are wrapped under it, and the old master is
destroyed. The states of an epoch, and what a crash after each step leaves:

    step      state afterwards                                        after a crash
    make      a master key file; the epoch has not begun              the file is not in use; the next `make` keeps it
    begin     begun: keys are stored under this epoch or a later one  the next `tick` rewraps the earlier keys
    rewrap    fewer keys are wrapped under earlier epochs             the next `tick` rewraps the rest
    empty     no copy of an earlier key is left in the store's files  a start works without the earlier masters
    destroy   the earlier masters are destroyed                       destroyed again; a missing file is no error
    end       ended: the erasures of those epochs are complete        nothing is left to do

Every step reads the state from the store, does one thing, and can be repeated. So any process can go on where another
one stopped.

Threads: everything runs on the event loop; key files are read and written in worker threads. The vault is shared with
the threads of the store (see `vault`).

Races, and the line that closes each:

(R1) Several processes are due at the same time, or one is and an operator rotates: who takes the lease works alone. It
     expires while a process hangs, so two may still work at once; R2, R3 and R7 make that harmless.
(R2) Two processes begin the same epoch: both compute the same number, `make` creates one file, both read that file, and
     the store keeps the first row.
(R3) A key is erased or rewrapped between reading and rewrapping it: the store replaces only the bytes that were read.
(R4) Another process stores a dialog after the epoch has begun, and has only the old master: the storing transaction
     reads the epoch, and the vault looks the new master up. It finds it, because `make` is durable before `begin`.
(R5) Another process reads a dialog whose key was just rewrapped: its vault looks the new master up, too (`vault`, R1).
(R6) Another process still has a destroyed master in memory: its housekeeping calls `renew` every 30 s. Until then an
     earlier copy of a key could be opened there.
(R7) The lease expires while a slow process works: all its steps are conditional or idempotent. It can destroy only the
     masters of epochs that it saw beside a later one, and whose keys are all rewrapped, since `empty` succeeded.
"""

import asyncio
import logging
import math
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, NamedTuple, TypeVar

from ..clock import Clock, to_micros
from ..leases import Leases
from .masters import Masters
from .roots import wrapping_check
from .store import Epoch, EpochStore, Rewrapped, Unended, WrappedKey
from .vault import Unopenable, Vault

T = TypeVar("T")

_AT_ONCE: Final = 2_000
"""Keys that one step rewraps: about 20 ms of the writer's time, once a second."""

_COUNTING_SHARE: Final = 100

LEASE: Final = "rotation"
"""Who changes keys holds it."""
LEASE_LENGTH: Final = timedelta(minutes=5)
_MICROSECOND: Final = timedelta(microseconds=1)

_log: Final = logging.getLogger("consentful.rotation")


class RotationStatus(NamedTuple):
    """The latest epoch, its age, the keys wrapped under earlier epochs, and the erasures that are not complete: how
    many, and the age of the oldest.
    """

    epoch: int
    age: timedelta
    left: int
    incomplete: int
    incomplete_age: timedelta


class Rotation:
    """Ends epochs after `length`, one step at a time."""

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
        self._left = 0
        self._unended = Unended(0, None)
        self._count_from = -math.inf

    async def tick(self) -> bool:
        """Take the next step if one is due; return whether one was taken."""
        living = await self._living()
        # A clock that was set back makes the age negative: the rotation waits, and nothing is lost.
        if len(living) == 1 and self._age(living[0].begun_at) < self._length:
            return False
        if not await self._leases.take(LEASE, self._holder, LEASE_LENGTH):  # (R1)
            return False
        if len(living) == 1:
            await self.begin()
            return True
        went_on = await self._go_on(living)
        if len(await self._living()) == 1:
            await self._leases.release(LEASE, self._holder)
        return went_on

    async def turn(self) -> bool:
        """End the present epoch now, with all steps; return False if a reader holds it up, so that a later `tick` must
        finish, or if another process changes keys now.
        """
        return bool(await self.alone(self._turn))

    async def alone(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Do what changes keys, and return its result; None, without doing it, if another process changes keys now."""
        if not await self._leases.take(LEASE, self._holder, LEASE_LENGTH):  # (R1)
            return None
        try:
            return await work()
        finally:
            await self._leases.release(LEASE, self._holder)

    async def _turn(self) -> bool:
        await self.begin()
        while len(living := await self._living()) > 1:
            if not (await self._leases.take(LEASE, self._holder, LEASE_LENGTH) and await self._go_on(living)):
                return False
        return True

    async def begin(self) -> None:
        """Begin the next epoch."""
        number = (await self._store.all())[-1].number + 1
        await asyncio.to_thread(self._masters.make, number)  # (R4) durable before the epoch begins
        masters = await asyncio.to_thread(self._masters.all)  # (R2) read back: another process may have created it
        check = wrapping_check(number, masters[number], self._deployment)
        await self._store.begin(number, to_micros(self._clock.now()), check)
        self._vault.renew(masters)
        self._passed = 0
        _log.info("epoch began", extra={"epoch": number})

    async def renew(self) -> None:
        """Load the masters of all epochs that have begun, and drop those that were destroyed."""
        known = {epoch.number for epoch in await self._store.all()}
        masters = await asyncio.to_thread(self._masters.all)
        self._vault.renew({number: master for number, master in masters.items() if number in known})

    async def status(self) -> RotationStatus:
        """Return the state of the rotation. In a large store its numbers may be older (`_count`)."""
        living = await self._living()
        latest = living[-1]
        if self._clock.monotonic() >= self._count_from:
            await self._count(latest.number, has_earlier=len(living) > 1)
        number, since = self._unended
        waiting = timedelta(0) if since is None else max(timedelta(0), self._age(since))
        return RotationStatus(latest.number, self._age(latest.begun_at), self._left, number, waiting)

    async def _count(self, epoch: int, *, has_earlier: bool) -> None:
        """Count the keys left and the incomplete erasures, and not again before 100 times as long has passed.

        Both grow with the store: 0.1 s for a million dialogs (measured), of which the keys take most.
        """
        start = self._clock.monotonic()
        # Counting the keys scans all of them, so it is left out when no earlier epoch is left.
        self._left = await self._store.left(epoch) if has_earlier else 0
        self._unended = await self._store.incomplete()
        end = self._clock.monotonic()
        self._count_from = end + _COUNTING_SHARE * (end - start)

    async def _living(self) -> list[Epoch]:
        return [epoch for epoch in await self._store.all() if epoch.destroyed_at is None]

    async def _go_on(self, living: list[Epoch]) -> bool:
        latest = living[-1].number
        keys = await self._store.keys_before(latest, self._passed, _AT_ONCE)
        if keys:
            rewrapped = [self._rewrapped(key, latest) for key in keys]
            await self._store.rewrap([key for key in rewrapped if key is not None])  # (R3)
            self._passed = keys[-1].dialog
            return True
        self._passed = 0  # if keys are left, the next round starts from the first
        if not await self._store.empty(latest, to_micros(self._clock.now())):  # (R7)
            return False
        for epoch in living[:-1]:
            await asyncio.to_thread(self._masters.destroy, epoch.number)
        await self._store.end(latest, to_micros(self._clock.now()))
        await self.renew()  # (R6)
        _log.info("epoch ended", extra={"epoch": latest - 1})
        return True

    def _rewrapped(self, key: WrappedKey, epoch: int) -> Rewrapped | None:
        try:
            return Rewrapped(key.dialog, key.wrapped, self._vault.rewrap(key.wrapped, key.dialog_id, epoch))
        except Unopenable:  # it was altered; the old master stays, because a backup of the key may still open with it
            _log.error("key cannot be rewrapped; restore or erase the dialog", extra={"dialog": key.dialog_id})
            return None

    def _age(self, since: int) -> timedelta:
        return (to_micros(self._clock.now()) - since) * _MICROSECOND
