"""The waiting room: dialogs of the original contract, pushed message by message over HTTP until they are decided.

They have the rules, limits and deadlines of a live dialog. There is no connection, so this process holds them, and
nothing else does.
"""

from collections import OrderedDict
from typing import Final

import msgspec

from consentful import wire

from ..archive.store import StoredDialog, Tombstone
from ..auth.access import Principal
from ..errors import Conflict, Erased, NotFound, Overloaded, Refusal
from ..service import Service
from .dialog import Granted
from .held import Edge, HeldDialog

CHANNEL: Final = "http"
_MAX_REMEMBERED: Final = 10_000


class Decided(msgspec.Struct, frozen=True, rename="camel"):
    """What was decided, and about how many messages."""

    dialog_id: str
    consent: bool
    messages: int


class Waiting(Edge):
    """One dialog in the waiting room."""

    __slots__ = ("_room", "held", "id")

    def __init__(self, room: "WaitingRoom", service: Service, dialog_id: str, owner: str) -> None:
        self._room = room
        self.id = dialog_id
        self.held = HeldDialog(service, self, owner)

    def __repr__(self) -> str:
        return f"Waiting({self.held!r})"

    def ended(self, outcome: str) -> None:
        self._room.remove(self)
        self.held.leave()


class WaitingRoom:
    """The dialogs of one process that wait for a decision."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: dict[str, Waiting] = {}
        self._discarded: OrderedDict[tuple[str, str], Decided] = OrderedDict()

    async def push(self, customer_id: str, dialog_id: str, text: str, language: str | None, who: Principal) -> None:
        """Hold one more message of the dialog; the first one opens it.

        Raises:
            Conflict: If the dialog is stored already, live elsewhere, or another customer's.
            Erased: If the dialog was erased.
            OverLimit: If the message, or the dialog with it, exceeds a limit.
            Overloaded: If there is no memory left.
        """
        waiting = self._waiting.get(dialog_id)
        if waiting is None:
            await self._refuse_stored(dialog_id)
            # Meanwhile another request may have opened it.
            waiting = self._waiting.get(dialog_id) or self._open(customer_id, dialog_id, who)
        held = waiting.held
        if (held.owner, held.customer_id) != (who.id, customer_id):
            raise Conflict
        if held.deciding is not None:
            await held.deciding.wait()
            await self.push(customer_id, dialog_id, text, language, who)
            return
        self._say(held, text, language)

    async def decide(self, dialog_id: str, granted: bool, who: Principal) -> Decided:
        """Carry a decision out, once. The same decision again gets the same answer; a "no" after a "yes" erases.

        Raises:
            NotFound: If there is no such dialog, or it is not this credential's.
            Erased: If it was erased and is granted again.
            StorageFailed: If it could not be stored; it still waits.
            OutcomeUnknown: If it is not known whether it was stored; it still waits.
        """
        waiting = self._waiting.get(dialog_id)
        if waiting is not None and waiting.held.owner == who.id:
            held = waiting.held
            if held.deciding is None:
                return await self._decide(dialog_id, held, granted)
            await held.deciding.wait()
            return await self.decide(dialog_id, granted, who)  # after a failed decision it still waits
        return await self._decided(dialog_id, granted, who)

    def remove(self, waiting: Waiting) -> None:
        """Forget a dialog that has ended."""
        if self._waiting.get(waiting.id) is waiting:
            del self._waiting[waiting.id]

    def _open(self, customer_id: str, dialog_id: str, who: Principal) -> Waiting:
        service = self._service
        if service.is_draining:
            raise Overloaded
        waiting = Waiting(self, service, dialog_id, who.id)
        dialog = waiting.held.prepare(wire.Open(customer_id, dialog_id), dialog_id)
        try:
            waiting.held.enter()
            waiting.held.register(dialog)
        except Refusal as refusal:
            waiting.held.end(refusal.code)
            raise
        self._waiting[dialog_id] = waiting
        return waiting

    def _say(self, held: HeldDialog, text: str, language: str | None) -> None:
        dialog, clock = held.dialog, self._service.clock
        assert dialog is not None
        message = wire.Message(len(dialog.utterances) + 1, text, language=language)
        try:
            held.say(message, clock.now(), clock.monotonic())
        except Overloaded:
            held.end(Overloaded.code)  # the client cannot replay it, and a part of it must not be granted
            raise
        except Refusal:
            if not dialog.utterances:
                held.end("refused")
            raise

    async def _refuse_stored(self, dialog_id: str) -> None:
        found = await self._service.archive.find(dialog_id)
        if isinstance(found, StoredDialog):
            raise Conflict
        if isinstance(found, Tombstone):
            raise Erased(dialog_id, found.moment)

    async def _decide(self, dialog_id: str, held: HeldDialog, granted: bool) -> Decided:
        dialog = held.dialog
        assert dialog is not None
        decided = Decided(dialog_id, granted, len(dialog.utterances))
        try:
            decision = held.decide(wire.Consent(granted, decided.messages))
            if isinstance(decision, Granted):
                await self._service.archive.keep(dialog, decision, owner=held.owner, channel=CHANNEL)
                held.end("stored")
            else:
                held.end("discarded")
                self._remember(held.owner, decided)
        finally:
            held.settle()
        return decided

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

    def _remember(self, owner: str, decided: Decided) -> None:
        """Keep the decision, not the words, so that the same decision again gets the same answer."""
        self._discarded[owner, decided.dialog_id] = decided
        if len(self._discarded) > _MAX_REMEMBERED:
            self._discarded.popitem(last=False)
