"""The waiting room: dialogs that are pushed piece by piece over HTTP, until they are decided.

They obey the rules, limits and time-outs of a live dialog; only the connection is missing, so it is this process that
holds them, and nothing else does.
"""

import asyncio
from collections import OrderedDict
from typing import Final

import msgspec

from consentful import wire

from ..archive.store import StoredDialog, Tombstone
from ..auth.access import Principal
from ..errors import Conflict, Erased, NotFound, Overloaded
from ..service import Service
from .deadlines import Deadlines, Expire
from .dialog import OVERHEAD_BYTES, Dialog, Granted
from .registry import DIALOG_BYTES

CHANNEL: Final = "http"
_REMEMBERED: Final = 10_000


class Decided(msgspec.Struct, frozen=True, rename="camel"):
    """What was decided, and about how many messages."""

    dialog_id: str
    consent: bool
    messages: int


class Waiting:
    """One dialog in the waiting room. Satisfies `registry.Holder`."""

    def __init__(self, room: "WaitingRoom", dialog: Dialog, owner: str, deadlines: Deadlines) -> None:
        self._room = room
        self.dialog = dialog
        self.owner = owner
        self.customer_id = dialog.customer_id
        self.deadlines = deadlines
        self.counted = 0
        self.deciding: asyncio.Event | None = None

    def __repr__(self) -> str:
        return f"Waiting({self.dialog!r})"

    def tick(self, now: float) -> None:
        if self.deciding is None and isinstance(self.deadlines.check(now), Expire):
            self._room.forget(self, "idle")

    async def settled(self) -> None:
        if self.deciding is not None:
            await self.deciding.wait()

    def supersede(self) -> None:
        self._room.forget(self, "superseded")

    async def drain(self, in_s: float) -> None:
        """There is nobody connected to be told."""

    async def close_draining(self) -> None:
        await self.settled()
        self._room.forget(self, "draining")


class WaitingRoom:
    """The dialogs of one process that wait for a decision."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: dict[str, Waiting] = {}
        self._discarded: OrderedDict[tuple[str, str], Decided] = OrderedDict()

    async def push(self, customer_id: str, dialog_id: str, text: str, language: str | None, who: Principal) -> None:
        """Hold one more message of the dialog, which begins with its first.

        Raises:
            Conflict: If the dialog is stored already, live elsewhere, or another customer's.
            Erased: If the dialog was erased.
            OverLimit: If a limit would be broken.
            Overloaded: If there is no room.
        """
        waiting = self._waiting.get(dialog_id)
        if waiting is None:
            await self._refuse_stored(dialog_id)
            waiting = self._waiting.get(dialog_id) or self._begin(customer_id, dialog_id, who)
        if (waiting.owner, waiting.customer_id) != (who.id, customer_id):
            raise Conflict
        if waiting.deciding is not None:
            await waiting.settled()
            await self.push(customer_id, dialog_id, text, language, who)
            return
        self._say(waiting, text, language)

    async def decide(self, dialog_id: str, granted: bool, who: Principal) -> Decided:
        """Carry a decision out, once; the same decision again gets the same answer, a "no" after a "yes" erases.

        Raises:
            NotFound: If there is no such dialog, or it is not this credential's.
            Erased: If it was erased and is granted again.
            StorageFailed: If it could not be stored; it still waits.
            OutcomeUnknown: If nobody can tell whether it was stored; it still waits.
        """
        waiting = self._waiting.get(dialog_id)
        if waiting is not None and waiting.owner == who.id:
            if waiting.deciding is None:
                return await self._decide(waiting, granted)
            await waiting.settled()
            return await self.decide(dialog_id, granted, who)  # a failed decision leaves it waiting
        return await self._decided(dialog_id, granted, who)

    def forget(self, waiting: Waiting, outcome: str) -> None:
        """Drop the dialog and what was counted for it; safe to call again."""
        service, dialog = self._service, waiting.dialog
        if self._waiting.get(dialog.id) is not waiting:
            return
        del self._waiting[dialog.id]
        service.registry.give_back(waiting.counted)
        service.registry.release(dialog.id, waiting)
        service.registry.leave(waiting)
        service.metrics.ended.labels(outcome).inc()
        service.statistics.ended(dialog.bot, outcome)
        service.metrics.messages.inc(len(dialog.utterances))

    def _begin(self, customer_id: str, dialog_id: str, who: Principal) -> Waiting:
        service = self._service
        if service.is_draining:
            raise Overloaded
        frame = wire.Open(customer_id, dialog_id)
        dialog = Dialog.open(frame, dialog_id, service.catalogue, service.limits, service.clock.now())
        now = service.clock.monotonic()
        deadlines = Deadlines(service.settings.idle_timeout, service.settings.max_duration, now)
        deadlines.open(now)
        waiting = Waiting(self, dialog, who.id, deadlines)
        service.registry.register(dialog_id, waiting)
        self._waiting[dialog_id] = waiting
        self._count(waiting, DIALOG_BYTES)
        service.metrics.opened.inc()
        return waiting

    def _say(self, waiting: Waiting, text: str, language: str | None) -> None:
        service, dialog = self._service, waiting.dialog
        message = wire.Message(len(dialog.utterances) + 1, text, language=language)
        try:
            added = dialog.say(message, service.clock.now())
            self._count(waiting, added + OVERHEAD_BYTES)
        finally:
            if not dialog.utterances:
                self.forget(waiting, "refused")
        waiting.deadlines.reset_idle(service.clock.monotonic())

    def _count(self, waiting: Waiting, size: int) -> None:
        try:
            self._service.registry.take(size)
        except Overloaded:
            self.forget(waiting, Overloaded.code)  # nobody can replay it: better gone than in part
            raise
        waiting.counted += size

    async def _refuse_stored(self, dialog_id: str) -> None:
        found = await self._service.archive.find(dialog_id)
        if isinstance(found, StoredDialog):
            raise Conflict
        if isinstance(found, Tombstone):
            raise Erased(dialog_id, found.moment)

    async def _decide(self, waiting: Waiting, granted: bool) -> Decided:
        dialog, archive = waiting.dialog, self._service.archive
        messages = len(dialog.utterances)
        waiting.deciding = asyncio.Event()
        try:
            decision = dialog.decide(wire.Consent(granted, messages), self._service.catalogue)
            if isinstance(decision, Granted):
                await archive.keep(dialog, decision, owner=waiting.owner, channel=CHANNEL)
                self.forget(waiting, "stored")
            else:
                self.forget(waiting, "discarded")
                self._remember(waiting, messages)
            return Decided(dialog.id, granted, messages)
        finally:
            waiting.deciding.set()
            waiting.deciding = None

    async def _decided(self, dialog_id: str, granted: bool, who: Principal) -> Decided:
        found = await self._service.archive.find(dialog_id)
        if isinstance(found, StoredDialog) and found.record.owner == who.id:
            if not granted:
                await self._service.archive.erase(dialog_id, "withdrawn", owner=who.id, by=who.actor)
            return Decided(dialog_id, granted, found.messages)
        if isinstance(found, Tombstone) and found.owner == who.id:
            if granted:
                raise Erased(dialog_id, found.moment)
            return Decided(dialog_id, False, found.messages)
        discarded = self._discarded.get((who.id, dialog_id))
        if discarded is None or granted:
            raise NotFound
        return discarded

    def _remember(self, waiting: Waiting, messages: int) -> None:
        """Keep the decision, not the words, so that asking again gets the same answer."""
        self._discarded[waiting.owner, waiting.dialog.id] = Decided(waiting.dialog.id, False, messages)
        if len(self._discarded) > _REMEMBERED:
            self._discarded.popitem(last=False)
