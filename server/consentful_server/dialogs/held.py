"""One dialog held in memory, for the live edge and the waiting room alike: its memory, deadlines and its one ending.

    EMPTY ──claim, register──► OPEN ──decide──► DECIDING ──end: stored, discarded──► ENDED ──leave──► (not listed)
      │                         │ ▲                 │
      │                         │ └──── settle ─────┘ the decision was refused or failed
      └── end: a deadline, a limit, a newer connection, the transport lost ──► ENDED

What was said is held by the `Dialog` alone, and the `Dialog` by this object alone: ending it is dropping that one
reference. Everything runs on the event loop's thread and nothing here waits but `close_draining`. The edge calls
`enter` to `leave`, in this order; the registry calls what `registry.Holder` lists; the edge hears back through `Edge`.

Races, and the line that closes each:

(R1) Something would end the dialog while its decision is under way: `tick` checks no deadline then, and a newer
     connection and a stopping server wait for `deciding`, which is set in one place, `settle`. A transport that is
     lost meanwhile is the edge's to remember.
(R2) The dialog ends twice, say by a deadline and then by the close that follows: `end` acts once.
(R3) A decision is cancelled while the store's thread still reads the dialog: `end` drops the dialog and never empties
     it, so that what is stored is all that was said, or nothing.
(R4) The registry still calls a dialog that has left, in a walk that began before: its edge is `_NOBODY` by then.
(R5) After a decision that failed the client decides again before `close_draining` wakes: it looks once more.
"""

import asyncio
import logging
from datetime import datetime
from typing import Final, Literal, Protocol, TypeAlias

from consentful import wire

from ..clock import Clock
from ..consent.notices import Catalogue, Wording
from ..telemetry.metrics import Metrics
from .deadlines import Deadlines, Expire, Warn
from .dialog import OVERHEAD_BYTES, Decision, Dialog
from .registry import DIALOG_BYTES, Registry

ClosingReason: TypeAlias = Literal["idle", "duration", "draining"]

_log: Final = logging.getLogger("consentful.live")


class EndCounter(Protocol):
    """Counts how dialogs ended, for the statistics."""

    def ended(self, bot: str | None, notice: tuple[str, str], outcome: str) -> None: ...


class Environment(Protocol):
    """What all held dialogs of a process share; `Service` has it."""

    @property
    def registry(self) -> Registry: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def limits(self) -> wire.Limits: ...

    @property
    def metrics(self) -> Metrics: ...

    @property
    def statistics(self) -> EndCounter: ...


class Edge:
    """Whoever speaks with the client of a held dialog. By default there is no connection and nobody to tell."""

    __slots__ = ()

    def tick(self, now: float) -> None:
        """Check the connection; called about every second until the dialog ends, before its deadlines are checked."""

    def warn(self, reason: ClosingReason, in_s: float) -> None:
        """Tell the client that the dialog ends in so many seconds."""

    def ended(self, outcome: str) -> None:
        """Close the connection: the dialog has ended. Called once, whoever ended it."""

    async def closed(self) -> None:
        """Return once the connection is closed."""


_NOBODY: Final = Edge()


class HeldDialog:
    """One dialog in memory. Satisfies `registry.Holder`."""

    __slots__ = (
        "_counted",
        "_edge",
        "_environment",
        "_messages",
        "customer_id",
        "deadlines",
        "deciding",
        "dialog",
        "has_ended",
        "owner",
    )

    def __init__(self, environment: Environment, edge: Edge, owner: str) -> None:
        limits = environment.limits
        self._environment = environment
        self._edge = edge
        self._counted = 0
        self._messages = 0
        """Of those that are held, how many are counted."""
        self.owner = owner
        self.customer_id = ""
        self.dialog: Dialog | None = None
        """None before it is open, and after it has ended."""
        self.deciding: asyncio.Event | None = None
        self.deadlines = Deadlines(limits.idle_timeout_s, limits.max_duration_s, environment.clock.monotonic())
        self.has_ended = False

    def __repr__(self) -> str:
        return f"HeldDialog({self.dialog!r})"

    def enter(self) -> None:
        """Take a place among the live dialogs, and the memory of an empty one.

        Raises:
            Overloaded: If there is no memory left; whoever called it ends the dialog.
        """
        self._environment.registry.enter(self)
        self._environment.registry.take(DIALOG_BYTES)
        self._counted = DIALOG_BYTES

    def prepare(self, frame: wire.Open, dialog_id: str) -> Dialog:
        """Return the dialog that the frame opens. It is held once it is claimed or registered.

        Raises:
            BadRequest: If the language is not a BCP 47 tag, or the metadata exceed 4 KiB.
        """
        environment = self._environment
        return Dialog.open(frame, dialog_id, environment.catalogue, environment.limits, environment.clock.now())

    def claim(self, dialog: Dialog) -> asyncio.Event | None:
        """Hold the dialog, in place of an older connection's; see `Registry.claim`."""
        self.customer_id = dialog.customer_id
        deciding = self._environment.registry.claim(dialog.id, self)
        if deciding is None:
            self._open(dialog)
        return deciding

    def register(self, dialog: Dialog) -> None:
        """Hold the dialog, if nobody else does; see `Registry.register`."""
        self.customer_id = dialog.customer_id
        self._environment.registry.register(dialog.id, self)
        self._open(dialog)

    def say(self, message: wire.Message, received_at: datetime, now: float) -> int:
        """Hold the message, and return how many are held; it is an open dialog's.

        Raises:
            Gap, Conflict, OverLimit, OutOfOrder, BadRequest: As `Dialog.say` does; nothing is held.
            Overloaded: If there is no memory left; whoever called it ends the dialog.
        """
        assert self.dialog is not None
        return self.said(1, self.dialog.say(message, received_at), now)

    def said(self, messages: int, size: int, now: float) -> int:
        """Count what `Dialog.say` took: so many messages, whose texts take so much memory. Return how many are held.

        Raises:
            Overloaded: As `say` does.
        """
        assert self.dialog is not None
        held = len(self.dialog.utterances)
        new, self._messages = held - self._messages, held
        if new:
            size += new * OVERHEAD_BYTES
            self._environment.registry.take(size)
            self._counted += size
            self.deadlines.reset_idle(now)
        if new < messages:
            self._environment.metrics.repeated.inc(messages - new)
        return held

    def decide(self, consent: wire.Consent, shown: Wording | None = None) -> Decision:
        """Return the decision about an open dialog. From now on it is under way, until `settle` or `end`.

        `shown` is the wording that was shown, if it is not the dialog's own.

        Raises:
            Incomplete, Empty, UnknownNotice, UnknownPurpose: As `Dialog.decide` does; nothing is decided.
        """
        assert self.dialog is not None
        decision = self.dialog.decide(consent, self._environment.catalogue, shown)
        self.deadlines.reset_idle(self._environment.clock.monotonic())
        self.deciding = asyncio.Event()
        return decision

    def settle(self) -> None:
        """State that the outcome of the decision is known: whoever waits for it goes on."""
        deciding, self.deciding = self.deciding, None
        if deciding is not None:
            deciding.set()  # (R1)

    def drop_words(self) -> int:
        """Drop all that was said, ahead of the ending, and return how many messages that were."""
        assert self.dialog is not None
        self._environment.metrics.messages.inc(len(self.dialog.utterances))
        self._give_back(self._counted - DIALOG_BYTES)
        return self.dialog.forget()

    def end(self, outcome: str) -> None:
        """Drop the dialog, give its memory and its id back, count how it ended, and tell the edge.

        This is the only way in which a dialog ends. `outcome` is `stored`, `discarded`, `dropped`, a deadline or the
        code of a refusal.
        """
        if self.has_ended:
            return  # (R2)
        self.has_ended = True
        self.settle()
        environment = self._environment
        dialog, self.dialog = self.dialog, None  # (R3)
        self._give_back(self._counted)
        if dialog is not None:
            environment.registry.release(dialog.id, self)
            environment.metrics.ended_as[outcome].inc()
            environment.metrics.messages.inc(len(dialog.utterances))
            environment.statistics.ended(dialog.bot, (dialog.wording.id, dialog.wording.language), outcome)
            _log.debug("dialog ended", extra={"outcome": outcome})  # without its id, which the chatbot chose
        self._edge.ended(outcome)

    def leave(self) -> None:
        """Leave the registry: the dialog has ended and its connection is closed."""
        self._environment.registry.leave(self)
        self._edge = _NOBODY  # (R4); the two refer to each other, and only the cycle collector would free them

    def tick(self, now: float) -> None:
        if self.has_ended:
            return  # its connection is closing, and has a time-out of its own
        self._edge.tick(now)
        if self.has_ended or self.deciding is not None:
            return  # (R1)
        match self.deadlines.check(now):
            case Warn(deadline, in_s):
                self._edge.warn(deadline, in_s)
            case Expire(deadline):
                self.end(deadline)
            case None:
                pass

    def supersede(self) -> None:
        self.end("superseded")

    def announce_drain(self, in_s: float) -> None:
        if not self.has_ended:
            self._edge.warn("draining", in_s)

    async def close_draining(self) -> None:
        while self.deciding is not None:  # (R1), (R5)
            await self.deciding.wait()
        self.end("draining")
        await self._edge.closed()

    def _open(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.deadlines.open(self._environment.clock.monotonic())
        self._environment.metrics.opened.inc()

    def _give_back(self, size: int) -> None:
        self._environment.registry.give_back(size)
        self._counted -= size
