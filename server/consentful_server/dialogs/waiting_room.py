"""The waiting room: dialogs of the original contract, pushed message by message over HTTP until they are decided.

They have the rules, limits and deadlines of a live dialog. There is no connection, so this process holds them, and
nothing else does.

    ABSENT ──push──► WAITING ──decide──► stored or discarded
      ▲ ▲               │  └─ a message is refused: WAITING, and `losses` has it
      │ │               └─ a deadline, no memory, a live connection: dropped, and `losses` has it
      │ └── decide: no ─┘
      └──── the loss is forgotten (a day after it)

A message has no number here, so a gap cannot be seen in what is held. Whatever the chatbot was not told to be held is
a loss, and a dialog with a loss is not granted (`Lost`): a part of a dialog is never stored. The chatbot mends a
refused message by pushing it again, and settles any doubt with `messages`, how many messages the dialog has.
"""

import secrets
from collections import OrderedDict
from typing import Final

from consentful import wire

from ..archive.store import StoredDialog, Tombstone
from ..auth.access import Principal
from ..consent.language import canonical
from ..consent.notices import Wording
from ..errors import BadRequest, Conflict, Erased, Incomplete, Lost, NotFound, OutOfOrder, Overloaded, Refusal
from ..service import Service
from . import pushed
from .deciding import carrying_out
from .dialog import Dialog, Granted
from .held import Edge, HeldDialog
from .losses import Loss, Losses
from .pushed import Decided, Details, Said

CHANNEL: Final = "http"
_MAX_REMEMBERED: Final = 10_000
_NOT_ITS_OWN: Final = (Conflict, Erased, Lost)
"""A message refused with one of these belongs to no dialog that could be granted."""
_NO_DETAILS: Final = Details()
_DECIDED: Final = frozenset({"stored", "discarded"})


class Waiting(Edge):
    """One dialog in the waiting room."""

    __slots__ = ("_room", "held", "id", "pushed")

    def __init__(self, room: "WaitingRoom", service: Service, dialog_id: str, owner: str) -> None:
        self._room = room
        self.id = dialog_id
        self.held = HeldDialog(service, self, owner)
        self.pushed = 0
        """How many messages the chatbot was told to be held."""

    def __repr__(self) -> str:
        return f"Waiting({self.held!r})"

    def ended(self, outcome: str) -> None:
        self._room.remove(self, outcome)
        self.held.leave()


class WaitingRoom:
    """The dialogs of one process that wait for a decision."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: dict[str, Waiting] = {}
        self._discarded: OrderedDict[tuple[str, str], Decided] = OrderedDict()
        # No dialog is granted after its maximum duration, so a loss need not be remembered for longer.
        self._losses = Losses(secrets.token_bytes(32), service.settings.max_duration)

    async def push(self, customer_id: str, dialog_id: str, said: Said, who: Principal) -> int:
        """Hold one more message of the dialog, and return how many are held; the first one opens it.

        Raises:
            Conflict: If the dialog is stored already, live elsewhere, or another customer's.
            Erased: If the dialog was erased.
            Lost: If messages of the dialog were dropped.
            OverLimit: If the message, or the dialog with it, exceeds a limit.
            BadRequest: If it is of another chatbot than the dialog.
            Overloaded: If there is no memory left.
        """
        try:
            return await self._push(customer_id, dialog_id, said, who)
        except _NOT_ITS_OWN:
            raise
        except Refusal as refusal:
            self.refused(customer_id, dialog_id, who, refusal.code, said.text)
            raise

    def refused(self, customer_id: str, dialog_id: str, who: Principal, why: str, text: str | None = None) -> None:
        """Remember that a message of the dialog was refused and is not held; without `text` if it could not be read.

        It is remembered until the same message is held, or the dialog is decided.
        """
        waiting = self._waiting.get(dialog_id)
        if waiting is None or (waiting.held.owner, waiting.held.customer_id) == (who.id, customer_id):
            self._losses.refuse(who.id, dialog_id, text, why, self._service.clock.monotonic())

    async def _push(self, customer_id: str, dialog_id: str, said: Said, who: Principal) -> int:
        waiting = self._waiting.get(dialog_id)
        if waiting is None:
            await self._refuse_stored(dialog_id)
            self._refuse_dropped(dialog_id, who)
            # Meanwhile another request may have opened it.
            waiting = self._waiting.get(dialog_id) or self._open(customer_id, dialog_id, said, who)
        held = waiting.held
        if (held.owner, held.customer_id) != (who.id, customer_id):
            raise Conflict
        if held.deciding is not None:
            await held.deciding.wait()
            return await self._push(customer_id, dialog_id, said, who)
        return self._say(waiting, said)

    async def decide(self, dialog_id: str, granted: bool, who: Principal, details: Details = _NO_DETAILS) -> Decided:
        """Carry a decision out, once. The same decision again gets the same answer; a "no" after a "yes" erases.

        Raises:
            NotFound: If there is no such dialog, or it is not this credential's.
            Lost: If it is granted and lost messages, and `details` do not say that all are held.
            Incomplete: If it is granted and another number of messages is held; nothing is decided.
            UnknownNotice, UnknownPurpose: If it is granted for what was not offered; nothing is decided.
            OutOfOrder: If it was granted already for another notice or other purposes.
            Erased: If it was erased and is granted again.
            StorageFailed: If it could not be stored; it still waits.
            OutcomeUnknown: If it is not known whether it was stored; it still waits.
        """
        waiting = self._waiting.get(dialog_id)
        if waiting is not None and waiting.held.owner == who.id:
            held = waiting.held
            if held.deciding is None:
                return await self._decide(dialog_id, held, granted, details)
            await held.deciding.wait()
            return await self.decide(dialog_id, granted, who, details)  # after a failed decision it still waits
        return await self._decided(dialog_id, granted, who, details)

    def remove(self, waiting: Waiting, outcome: str) -> None:
        """Forget a dialog that has ended, and remember it if it was not decided: its messages are lost."""
        if self._waiting.get(waiting.id) is not waiting:
            return
        del self._waiting[waiting.id]
        if waiting.pushed and outcome not in _DECIDED:
            self._losses.drop(waiting.held.owner, waiting.id, outcome, self._service.clock.monotonic())

    def _open(self, customer_id: str, dialog_id: str, said: Said, who: Principal) -> Waiting:
        service = self._service
        if service.is_draining:
            raise Overloaded
        waiting = Waiting(self, service, dialog_id, who.id)
        dialog = waiting.held.prepare(wire.Open(customer_id, dialog_id, bot=said.bot), dialog_id)
        dialog.wording = self._shown(said.language)  # the dialog itself has no language: a message without one has none
        dialog.any_language = True
        try:
            waiting.held.enter()
            waiting.held.register(dialog)
        except Refusal as refusal:
            waiting.held.end(refusal.code)
            raise
        self._waiting[dialog_id] = waiting
        return waiting

    def _shown(self, language: str | None) -> Wording:
        """Return the wording that `GET /v1/notices/current` shows now in this language."""
        return self._service.catalogue.for_language(language and canonical(language))

    def _say(self, waiting: Waiting, said: Said) -> int:
        held, clock = waiting.held, self._service.clock
        dialog = held.dialog
        assert dialog is not None
        seq = len(dialog.utterances) + 1
        message = wire.Message(seq, said.text, role=said.role, language=said.language, sent_at=said.sent_at)
        try:
            _name_bot(dialog, said.bot)
            waiting.pushed = held.say(message, clock.now(), clock.monotonic())
        except Overloaded:
            held.end(Overloaded.code)  # the client cannot replay it, and a part of it must not be granted
            raise
        except Refusal:
            if not dialog.utterances:
                held.end("refused")
            raise
        self._losses.taken(held.owner, waiting.id, said.text)
        return waiting.pushed

    def _refuse_dropped(self, dialog_id: str, who: Principal) -> None:
        loss = self._loss(dialog_id, who.id)
        if loss is not None and loss.dropped:
            raise Lost(loss.why, dropped=True)

    def _loss(self, dialog_id: str, owner: str) -> Loss | None:
        return self._losses.of(owner, dialog_id, self._service.clock.monotonic())

    async def _refuse_stored(self, dialog_id: str) -> None:
        found = await self._service.archive.find(dialog_id)
        if isinstance(found, StoredDialog):
            raise Conflict
        if isinstance(found, Tombstone):
            raise Erased(dialog_id, found.moment)

    async def _decide(self, dialog_id: str, held: HeldDialog, granted: bool, details: Details) -> Decided:
        dialog = held.dialog
        assert dialog is not None
        decided = Decided(dialog_id, granted, len(dialog.utterances))
        if granted:
            self._check_whole(decided, held.owner, details.messages)
        consent = wire.Consent(granted, decided.messages, notice=details.notice, purposes=details.purposes)
        metrics, messages = self._service.metrics, decided.messages
        try:
            decision = held.decide(consent, None if details.language is None else self._shown(details.language))
            with carrying_out(metrics, granted=granted, messages=messages, channel=CHANNEL):
                if isinstance(decision, Granted):
                    stored = await self._service.archive.keep(dialog, decision, owner=held.owner, channel=CHANNEL)
                    decided = pushed.granted(stored)
                    held.end("stored")
                else:
                    held.end("discarded")
                    self._remember(held.owner, decided)
            self._losses.forget(held.owner, dialog_id)
        finally:
            held.settle()
        return decided

    def _check_whole(self, decided: Decided, owner: str, count: int | None) -> None:
        """Check that all messages of the dialog are held, as far as anybody can tell."""
        if count is not None:  # the chatbot knows better than we do: it also saw the answers that were lost
            if count != decided.messages:
                raise Incomplete(expected=decided.messages)
            return
        loss = self._loss(decided.dialog_id, owner)
        if loss is not None:
            raise Lost(loss.why, dropped=loss.dropped)

    async def _decided(self, dialog_id: str, granted: bool, who: Principal, details: Details) -> Decided:
        found = await self._service.archive.find(dialog_id)
        if isinstance(found, StoredDialog) and found.record.owner == who.id:
            if granted:
                _check_same(found, details)
                self._service.metrics.replays.inc()
                return pushed.granted(self._service.archive.proof(found))
            await self._service.archive.erase(dialog_id, "withdrawn", owner=who.id, by=who.actor)
            return Decided(dialog_id, False, found.messages)
        if isinstance(found, Tombstone) and found.owner == who.id:
            if granted:
                raise Erased(dialog_id, found.moment)
            return Decided(dialog_id, False, found.messages)
        return self._ended(dialog_id, granted, who)

    def _ended(self, dialog_id: str, granted: bool, who: Principal) -> Decided:
        """Return the decision about a dialog of which nothing is held or stored."""
        loss = self._loss(dialog_id, who.id)
        if loss is not None and granted:
            raise Lost(loss.why, dropped=loss.dropped)
        if loss is not None:  # a "no" is never refused
            self._losses.forget(who.id, dialog_id)
            self._remember(who.id, Decided(dialog_id, False, 0))
        discarded = self._discarded.get((who.id, dialog_id))
        if discarded is None or granted:
            raise NotFound
        return discarded

    def _remember(self, owner: str, decided: Decided) -> None:
        """Keep the decision, not the words, so that the same decision again gets the same answer."""
        self._discarded[owner, decided.dialog_id] = decided
        if len(self._discarded) > _MAX_REMEMBERED:
            self._discarded.popitem(last=False)


def _name_bot(dialog: Dialog, bot: str | None) -> None:
    """Let the chatbot of the message be the dialog's, unless another one is."""
    if bot is not None and dialog.bot not in (None, bot):
        raise BadRequest("bot", "must be the same in all messages of a dialog")
    dialog.bot = dialog.bot or bot


def _check_same(stored: StoredDialog, details: Details) -> None:
    """Check that a grant which is repeated says what is stored."""
    if details.messages not in (None, stored.messages):
        raise Incomplete(expected=stored.messages)
    record = stored.record
    other_purposes = details.purposes is not None and set(details.purposes) != set(record.purposes)
    if other_purposes or details.notice not in (None, record.notice_id):
        raise OutOfOrder(
            "the dialog is stored with consent to another notice or other purposes; send `false` to withdraw it"
        )
