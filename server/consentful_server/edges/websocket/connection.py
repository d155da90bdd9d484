"""One live dialog: frames in, rules, frames out (contract §1).

    OPENING ──open──► HOLDING ──consent──► DECIDING ──stored, discarded──► CLOSING
       │               ▲   ▲                  │
       │               │   └──────────────────┘ the store failed: nothing is decided
       └──open──► CLAIMING   an older dialog of this id is being decided: it is waited for
    any ── a deadline, a limit, a conflict, a newer connection, 20 bad frames, the server stops ──► CLOSING

In CLAIMING and DECIDING no frame is taken up; in CLOSING every frame is ignored. In any state the connection can be
lost, which is no state of its own but `_is_lost`, because in DECIDING the dialog outlives it.

Everything runs on the event loop's thread. The socket calls `receive`, `charge` and `lost`; the held dialog calls
`tick`, `warn` and `ended`. None of them waits or raises. Only `_claim`, `_keep` and `_discard` wait: in a task of their
own, which `_start` starts and which nothing cancels. What the dialog holds is `HeldDialog`'s; how the connection
closes is `CloseHandshake`'s.

Races, and the line that closes each:

(R1) Frames arrive behind an `open` or a `consent` that has to be waited for: `_start` pauses the frames, and `_resume`
     lets them in one by one, to be judged by the state that follows.
(R2) The connection is lost while a decision is under way: the decision is carried out. `lost` ends nothing then, and
     `_resume` does it afterwards.
(R3) The connection ends while `_claim` waits for an older dialog's decision: `_claim` looks before it takes the id.
     `ended` resumes the frames, because the client's answer to the close frame is among them.
(R4) The client sends too much while a decision is under way: `_cut_off` does nothing then. The next `tick` sees to it.
(R5) The client reads nothing while a decision is under way: the connection is aborted, and the decision goes on.
(R6) The dialog is ended between two frames, by a deadline or a newer connection: `ended` changes the state, and
     `_take_up` ignores the next one. Nothing ends it within a run of messages, which are held without looking again.
(R7) An ack is due when another answer is sent: it is flushed first, see `acks`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, TypeAlias, TypeVarTuple

from aiohttp import WSMsgType

from consentful import wire
from consentful.identifiers import new_id

from ...auth.access import Principal
from ...dialogs.deciding import carrying_out
from ...dialogs.dialog import Declined, Dialog, Granted
from ...dialogs.held import ClosingReason, Edge, HeldDialog
from ...errors import BadRequest, Conflict, OutOfOrder, Overloaded, Refusal, TooOften
from ...service import Service
from ...telemetry import traces
from ...telemetry.logs import REQUEST, where
from ..http import faults
from ..timeouts import Timeouts
from .acks import Acks
from .charging import Charging
from .closing import CloseHandshake, SlowReader
from .heartbeat import Heartbeat, Pulse
from .transport import Frame, FrameTransport

Ts = TypeVarTuple("Ts")

CHANNEL: Final = "websocket"
_MAX_BAD_FRAMES: Final = 20
_CUT_OFF_WITHIN_S: Final = 1.0
"""How long a client that was cut off has to read why; its answer is not read."""

_log: Final = logging.getLogger("consentful.live")


class State(IntEnum):
    """What a connection is doing. An integer, because it is hashed for every frame."""

    OPENING = 1
    CLAIMING = 2
    HOLDING = 3
    DECIDING = 4
    CLOSING = 5


_HOLDING: Final = State.HOLDING
"""Looked up for every read."""


class Connection(Edge):
    """One client's connection, from its upgrade to its end. Satisfies `socket.Receiver`."""

    __slots__ = (
        "_acks",
        "_bad_frames",
        "_charging",
        "_codec",
        "_handshake",
        "_heartbeat",
        "_held",
        "_is_lost",
        "_opcode",
        "_principal",
        "_read_at",
        "_read_at_s",
        "_request_id",
        "_service",
        "_slow_reader",
        "_span",
        "_transport",
        "state",
    )

    def __init__(
        self,
        service: Service,
        transport: FrameTransport,
        codec: wire.Codec,
        principal: Principal,
        charging: Charging,
        closings: Timeouts,
        request_id: str,
        span: traces.Span,
    ) -> None:
        """`request_id` is that of the upgrade, with which `span` began; it ends when the dialog is open, or closed."""
        self._service = service
        self._transport = transport
        self._codec = codec
        self._opcode = WSMsgType.BINARY if codec.binary else WSMsgType.TEXT
        self._principal = principal
        self._request_id = request_id
        self._span = span
        self._charging = charging
        self._acks = Acks(transport, codec)
        self._handshake = CloseHandshake(transport, closings)
        self._slow_reader = SlowReader()
        self._heartbeat = Heartbeat(service.clock.monotonic())
        self._held = HeldDialog(service, self, principal.id)
        self._read_at = service.clock.now()
        self._read_at_s = 0.0
        self._bad_frames = 0
        self._is_lost = False
        self.state = State.OPENING

    def __repr__(self) -> str:
        return f"Connection({self.state.name}, {self._held!r})"

    # From the socket.

    def begin(self) -> None:
        """Take a place among the live dialogs, or close if there is no memory left."""
        self._charging.open()
        try:
            self._held.enter()
        except Overloaded as refusal:
            self._refuse(refusal)

    def turn_away(self, refusal: Refusal) -> None:
        """Tell a client that is not let in why, and close."""
        self._refuse(refusal)
        self._drop(faults.CLOSED_FAULT, refusal.code)  # unless the refusal has a close code of its own

    def receive(self, frames: Sequence[Frame]) -> int:
        """Take up as many messages as the first frames are, or one frame of another kind; return how many that were."""
        if self.state is _HOLDING:
            taken = self._hold_all(frames)
            if taken:
                return taken
        self._take_up(*frames[0])
        return 1

    def _hold_all(self, frames: Sequence[Frame]) -> int:
        """Hold the messages before the first frame that is none, or is refused; return how many that were.

        What is the same for all of them is looked up and counted once. A frame that is refused leaves no trace, so the
        client is told why when it is the first one.
        """
        held, acks, opcode = self._held, self._acks, self._opcode
        dialog = held.dialog
        assert dialog is not None
        decode, say = self._codec.decode_client, dialog.say
        if not acks.is_due:  # what is read in one turn of the loop is received at one time
            clock = self._service.clock
            self._read_at, self._read_at_s = clock.now(), clock.monotonic()
        received_at = self._read_at
        taken = read = size = 0
        try:
            for kind, payload, _ in frames:
                if kind is not opcode:
                    break
                message = decode(payload)
                if type(message) is not wire.Message:
                    break
                size += say(message, received_at)
                read += len(payload)
                taken += 1
        except Exception:  # noqa: BLE001, S110 - also an internal error: `_take_up` meets it again, and says so
            pass
        if taken:
            self._charging.read += read
            try:
                acks.soon(held.said(taken, size, self._read_at_s))
            except Overloaded as refusal:
                self._refuse(refusal)
            except Exception as error:  # noqa: BLE001 - as in `_take_up`
                self._fail(error)
        return taken

    def _take_up(self, opcode: WSMsgType, payload: bytes, _: object) -> None:
        """Take a frame up. What is wrong with it is told to the client."""
        self._charging.read += len(payload)
        if self.state is State.CLOSING:
            return  # (R6)
        if opcode is not self._opcode:
            self._receive_other(opcode, payload)
            return
        frame = None
        try:
            frame = self._codec.decode_client(payload)
            handler = _HANDLERS[self.state].get(type(frame))
            if handler is None:
                raise OutOfOrder(_OUT_OF_ORDER[self.state])
            handler(self, frame)
        except wire.BadFrame as bad:
            self._refuse_bytes(opcode, payload, bad)
        except (BadRequest, OutOfOrder) as refusal:
            self._refuse_frame(faults.to_wire(refusal, _seq_of(frame)))
        except Refusal as refusal:
            seq = _seq_of(frame)
            if isinstance(refusal, Conflict) and refusal.seq is not None:
                self._refuse_frame(faults.to_wire(refusal, seq))  # about one message: the dialog goes on without it
            else:
                self._refuse(refusal, seq)
        except Exception as error:  # noqa: BLE001 - an internal error: the client replays, perhaps to another node
            self._fail(error)

    def charge(self, frames: int = 0) -> None:
        """Charge the client for what it sent, so many frames of it taken up; cut it off if that exceeds its share."""
        try:
            self._charging.charge(frames)
        except Overloaded as refusal:
            self._cut_off(refusal)

    def lost(self, frames: int) -> None:
        """Note that the connection is closed or lost: nothing of it is left, unless a decision is under way."""
        self._is_lost = True
        self._handshake.lost()
        self._charging.close(frames)
        if self.state is not State.DECIDING:  # (R2)
            self._leave()

    # From the held dialog.

    def tick(self, now: float) -> None:
        if self._slow_reader.is_stuck(self._transport.unread, now):
            self._close_slow_reader()
            return
        match self._heartbeat.look(self._charging.received, now):
            case Pulse.PING:
                self._transport.send_ping()
            case Pulse.GIVE_UP:
                self._handshake.abort()
                return
            case Pulse.NOTHING:
                pass
        if self.state is not State.DECIDING and self._charging.is_behind:
            self.charge()  # (R4)

    def warn(self, reason: ClosingReason, in_s: float) -> None:
        self._send(wire.Closing(reason, in_s))

    def ended(self, outcome: str) -> None:
        if self.state in (State.OPENING, State.CLAIMING):
            self._span.fail(outcome)
            self._span.end()
        self.state = State.CLOSING
        self._transport.resume_frames()  # (R3)
        code = _CLOSES.get(outcome)
        if code is not None:
            self._handshake.begin(code, outcome)

    async def closed(self) -> None:
        await self._handshake.closed()

    # The frames, see `_HANDLERS`.

    def open(self, frame: wire.Open) -> None:
        """Open the dialog, once no decision about an older one of its id is under way."""
        dialog = self._held.prepare(frame, frame.dialog_id or new_id())
        deciding = self._held.claim(dialog)
        if deciding is None:
            self._opened(dialog)
        else:
            self._start(State.CLAIMING, self._claim, dialog, deciding)

    def hold(self, message: wire.Message) -> None:
        """Hold the message; it is acked at the end of this turn of the loop. `_hold_all` does so for nearly all."""
        self._acks.soon(self._held.say(message, self._read_at, self._read_at_s))

    def decide(self, consent: wire.Consent) -> None:
        """Carry the decision out: reading a valid one is the moment of decision, whatever comes after it."""
        dialog = self._held.dialog
        assert dialog is not None
        decision = self._held.decide(consent)
        self._acks.flush()  # (R7)
        if isinstance(decision, Granted):
            self._start(State.DECIDING, self._keep, dialog, decision)
        else:
            messages = self._held.drop_words()  # first of all: a "no" does not wait for the store
            self._start(State.DECIDING, self._discard, dialog, decision, messages)

    # What has to be waited for.

    def _start(self, state: State, work: Callable[[*Ts], Awaitable[None]], *args: *Ts) -> None:
        """Do the work in a task of its own; no frame is taken up before its outcome is known."""
        self.state = state
        self._transport.pause_frames()  # (R1)
        self._service.tasks.start(self._carry_out(work, *args))

    async def _carry_out(self, work: Callable[[*Ts], Awaitable[None]], *args: *Ts) -> None:
        REQUEST.set(self._request_id)  # of this task
        traces.CURRENT.set(self._span)
        try:
            await work(*args)
        except Refusal as refusal:
            self._refuse(refusal)
        except Exception as error:  # noqa: BLE001 - as in `_take_up`
            self._fail(error)
        finally:
            self._resume()

    def _resume(self) -> None:
        """Take frames up again: the outcome is known, and the client was told."""
        self._held.settle()
        if self.state is State.DECIDING:
            self.state = State.HOLDING
        self._transport.resume_frames()  # (R1)
        if self._is_lost:
            self._leave()  # (R2)

    async def _claim(self, dialog: Dialog, deciding: asyncio.Event | None) -> None:
        while deciding is not None:
            await deciding.wait()
            if self.state is State.CLOSING:
                return  # (R3)
            deciding = self._held.claim(dialog)
        self._opened(dialog)

    async def _keep(self, dialog: Dialog, granted: Granted) -> None:
        service, messages = self._service, len(dialog.utterances)
        with carrying_out(service.metrics, granted=True, messages=messages, channel=CHANNEL):
            await service.access.recheck(self._principal)  # for a "yes" alone: a "no" is never refused
            stored = await service.archive.keep(dialog, granted, owner=self._held.owner, channel=CHANNEL)
        self._send_last(stored)
        self._held.end("stored")

    async def _discard(self, dialog: Dialog, declined: Declined, messages: int) -> None:
        archive, owner = self._service.archive, self._held.owner
        with carrying_out(self._service.metrics, granted=False, messages=messages, channel=CHANNEL):
            await archive.decline(dialog.id, dialog.customer_id, owner=owner, retract=declined.retract)
        self._send_last(wire.Discarded(dialog.id, messages))
        self._held.end("discarded")

    # What is answered.

    def _opened(self, dialog: Dialog) -> None:
        self.state = State.HOLDING
        self._span.end()
        shown = self._service.catalogue.shown(dialog.wording)
        self._send(wire.Opened(dialog.id, shown, self._service.limits))

    def _refuse(self, refusal: Refusal, seq: int | None = None) -> None:
        """Tell the client, and close if the dialog cannot go on."""
        self._service.metrics.refuse(refusal)
        self._acks.flush()  # (R7)
        self._send(faults.to_wire(refusal, seq))
        if faults.fault_of(refusal).close is not None:
            self._held.end(refusal.code)

    def _refuse_frame(self, error: wire.Error) -> None:
        """Tell the client that the frame is malformed, out of order or contradicts another; close after 20 of these."""
        self._service.metrics.refused.labels(error.code).inc()
        self._acks.flush()  # (R7)
        self._send(error)
        self._bad_frames += 1
        if self._bad_frames >= _MAX_BAD_FRAMES:
            self._drop(faults.CLOSED_TOO_MANY_BAD_FRAMES, "too many bad frames")

    def _refuse_bytes(self, opcode: WSMsgType, payload: bytes, bad: wire.BadFrame) -> None:
        """Tell the client that this is no frame, or close if it is no text either (RFC 6455 §8.1)."""
        if opcode is WSMsgType.TEXT and not _is_utf8(payload):
            self._drop(faults.CLOSED_BAD_TEXT, "text is not UTF-8")
        else:
            self._refuse_frame(wire.Error("frame", str(bad)))

    def _receive_other(self, opcode: WSMsgType, payload: bytes) -> None:
        """Answer a ping, ignore a pong, refuse a data frame of the other kind. Who pings too often is cut off."""
        if opcode is WSMsgType.PING:
            try:
                self._charging.ping()
            except TooOften as refusal:
                self._cut_off(refusal)
            else:
                self._transport.send_pong(payload)
        elif opcode is not WSMsgType.PONG:
            expected = wire.BadFrame("$", f"send {self._opcode.name.lower()} frames in this subprotocol")
            self._refuse_bytes(opcode, payload, expected)

    def _send(self, frame: wire.FromServer) -> None:
        self._transport.send(self._codec.encode(frame))

    def _send_last(self, frame: wire.FromServer) -> None:
        """Send the outcome, in one write with the close frame, which follows at once."""
        self._transport.send(self._codec.encode(frame), more=True)

    # How it ends.

    def _cut_off(self, refusal: Overloaded) -> None:
        """Drop the dialog, and tell a client that sends too much when to come back; nothing more of it is read."""
        if self.state in (State.DECIDING, State.CLOSING):
            return  # (R4)
        self._service.metrics.refuse(refusal)
        self._charging.stop()
        self._send(faults.to_wire(refusal))
        self._handshake.begin(faults.CLOSED_OVERLOADED, refusal.code, within_s=_CUT_OFF_WITHIN_S)
        self._held.end(refusal.code)

    def _close_slow_reader(self) -> None:
        if self.state is State.DECIDING:
            self._handshake.abort()  # (R5)
        else:
            self._held.end("slow")

    def _fail(self, error: Exception) -> None:
        self._service.metrics.fail()
        _log.error("connection failed", extra={"request": self._request_id} | where(error))
        self._drop(faults.CLOSED_FAULT, "internal")

    def _drop(self, code: int, reason: str) -> None:
        """Close with a code that is no outcome of a dialog."""
        self._handshake.begin(code, reason)
        self._held.end("dropped")

    def _leave(self) -> None:
        self._held.end("dropped")
        self._held.leave()


Handler: TypeAlias = Callable[[Connection, Any], None]

_HANDLERS: Final[Mapping[State, Mapping[type[wire.FromClient], Handler]]] = {
    State.OPENING: {wire.Open: Connection.open},
    State.HOLDING: {wire.Message: Connection.hold, wire.Consent: Connection.decide},
}
"""What is not here is refused with the code `order`."""

_OUT_OF_ORDER: Final[Mapping[State, str]] = {
    State.OPENING: "send `open` first",
    State.HOLDING: "the dialog is open already; one connection is one dialog",
}

_CLOSES: Final[Mapping[str, int]] = {
    **{code: fault.close for code, fault in faults.FAULTS.items() if fault.close is not None},
    **faults.CLOSES,
    "stored": faults.CLOSED_DECIDED,
    "discarded": faults.CLOSED_DECIDED,
    "superseded": faults.CLOSED_SUPERSEDED,
    "draining": faults.CLOSED_DRAINING,
    "slow": faults.CLOSED_SLOW,
}
"""The close code of each outcome. The others are of a connection that is closing already, or lost."""


def _seq_of(frame: wire.FromClient | None) -> int | None:
    return frame.seq if isinstance(frame, wire.Message) else None


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
