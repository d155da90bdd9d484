"""The live edge: one WebSocket, one dialog. Its messages live in this connection's memory and nowhere else.

`Connection` turns frames into calls of the dialog's rules and refusals into frames. It ends when the dialog is
decided, when the socket is gone, or when a deadline passes; then everything that was said is let go.
"""

import asyncio
import contextlib
import logging
from typing import Final

from aiohttp import WSMsgType

from consentful import wire
from consentful.identifiers import uuid7

from ...auth.access import Principal
from ...dialogs.deadlines import Deadlines, Expire, Warn
from ...dialogs.dialog import OVERHEAD_BYTES, Declined, Dialog, Granted
from ...dialogs.registry import DIALOG_BYTES
from ...errors import BadRequest, Gap, OutOfOrder, OverLimit, Overloaded, Refusal, TooOften
from ...service import Service
from ...telemetry import where
from ..http import faults
from .meter import TURN_FRAMES, Meter
from .socket import CLOSE_ANSWER_S, Socket

CHANNEL: Final = "websocket"
_MOST_BAD_FRAMES: Final = 20
_CLOSE_WITHIN_S: Final = 2 * CLOSE_ANSWER_S
_LEAVES_WITHIN_S: Final = 1.0
"""How long one that sent too much has to read why; its own answer is not heard any more."""

_SLOW_AFTER_S: Final = 30.0
"""How long a client may leave its acks unread."""

_log: Final = logging.getLogger("consentful.live")


class Connection:
    """One WebSocket's dialog, from its upgrade to its end. Satisfies `registry.Holder`."""

    __slots__ = (
        "_ack_due",
        "_ack_task",
        "_bad_frames",
        "_closing",
        "_codec",
        "_counted",
        "_deciding",
        "_dialog",
        "_is_acking",
        "_loop",
        "_meter",
        "_opcode",
        "_over",
        "_principal",
        "_service",
        "_transport",
        "_turn",
        "_turn_s",
        "_unread",
        "_unread_since",
        "_ws",
        "deadlines",
    )

    def __init__(
        self,
        service: Service,
        ws: Socket,
        codec: wire.Codec,
        principal: Principal,
        meter: Meter,
        transport: asyncio.Transport,
    ) -> None:
        self._service = service
        self._ws = ws
        self._meter = meter
        self._transport = transport
        self._closing: asyncio.Task[None] | None = None
        self._over: asyncio.Event | None = None
        self._codec = codec
        self._opcode = WSMsgType.BINARY if codec.binary else WSMsgType.TEXT
        self._principal = principal
        self._dialog: Dialog | None = None
        self._deciding: asyncio.Event | None = None
        self._bad_frames = 0
        self._counted = 0
        self._loop = asyncio.get_running_loop()
        self._turn = service.clock.now()
        self._turn_s = service.clock.monotonic()
        self._ack_due = False
        self._is_acking = False
        self._unread = 0
        self._unread_since = 0.0
        self._ack_task: asyncio.Task[None] | None = None
        settings = service.settings
        self.deadlines = Deadlines(settings.idle_timeout, settings.max_duration, self._turn_s)

    def __repr__(self) -> str:
        return f"Connection({self._dialog!r})"

    @property
    def owner(self) -> str:
        return self._principal.id

    @property
    def customer_id(self) -> str:
        return self._dialog.customer_id if self._dialog else ""

    async def run(self) -> None:
        """Serve the dialog until it ends; nothing of it is left afterwards."""
        self._service.registry.enter(self)
        meter, left = self._meter, TURN_FRAMES
        try:
            self._count(DIALOG_BYTES)
            while not self._ws.closed:
                kind, data, _ = await self._ws.receive()
                left -= 1
                if not left:
                    left = TURN_FRAMES
                    await self._let_others()
                if kind in _DATA:
                    meter.read += len(data)
                    if self._closing is None and not self._hold(kind, data):
                        await self._receive(kind, data)
                elif kind is WSMsgType.PING:
                    await self._answer_ping(data)
                elif kind in _GONE:
                    break
        except Refusal as refusal:
            await self._fail(refusal)
        except ConnectionError:
            pass  # the client is gone in the middle of an answer; a replay will ask again
        except Exception as error:  # noqa: BLE001 - a fault of ours: the client replays, on another node perhaps
            _log.error("connection failed", extra=where(error))
            await self._close(faults.CLOSED_FAULT, "internal")
        finally:
            self._forget()
            self._service.registry.leave(self)
            meter.close(TURN_FRAMES - left)
            if self._over is not None:
                self._over.set()

    async def settled(self) -> None:
        if self._deciding is not None:
            await self._deciding.wait()

    def supersede(self) -> None:
        """Let go of the dialog at once; the close handshake of a half-open socket is not waited for."""
        self._forget("superseded")
        self._hang_up(faults.CLOSED_SUPERSEDED, "superseded")

    async def drain(self, in_s: float) -> None:
        """Tell the client that the server stops."""
        await self._send_if_open(wire.Closing("draining", in_s))

    async def close_draining(self) -> None:
        """Close, unless the dialog ends by itself: a decision under way is waited for."""
        await self.settled()
        await self._hang_up(faults.CLOSED_DRAINING, "draining")

    def tick(self, now: float) -> None:
        """Do what the deadlines ask for; called about every second."""
        if self._is_deaf(now):
            self._give_up_telling()
            return
        if self._deciding is not None:
            return
        if self._meter.is_behind:
            self.charge()
        match self.deadlines.check(now):
            case Warn(reason, in_s):
                self._service.tasks.start(self._send_if_open(wire.Closing(reason, in_s)))
            case Expire(reason):
                self._end(reason, faults.CLOSES[reason])
            case None:
                pass

    def charge(self) -> None:
        """Have the client pay for the bytes it sent; hang up if it cannot."""
        self._charge(0)

    def _charge(self, frames: int) -> None:
        try:
            self._meter.charge(frames)
        except Overloaded as refusal:
            self._cut_off(refusal)

    def _cut_off(self, refusal: Overloaded) -> None:
        """Let go of everything, and tell a client that sends too much when to come back; more of it is not read."""
        if self._closing is None and self._deciding is None:
            self._service.metrics.refused.labels(refusal.code).inc()
            self._forget(refusal.code)
            self._meter.stop()
            told = faults.to_wire(refusal)
            self._hang_up(faults.CLOSED_OVERLOADED, refusal.code, told, within_s=_LEAVES_WITHIN_S)

    async def _let_others(self) -> None:
        """Let everybody else have a turn."""
        self._charge(TURN_FRAMES)
        await self._leave_if_cut_off()
        await asyncio.sleep(0)

    async def _answer_ping(self, data: bytes) -> None:
        """Answer, while that is no more than a client needs (RFC 6455 §5.5.2)."""
        self._meter.read += len(data)
        if self._closing is None:
            try:
                self._meter.ping()
            except TooOften as refusal:
                self._cut_off(refusal)
                await self._leave_if_cut_off()
            else:
                await self._ws.pong(data)

    async def _leave_if_cut_off(self) -> None:
        """Take up nothing of what still lies here: it can be a lot, and nobody else would have a turn.

        Raises:
            ConnectionResetError: If the line was cut off, and is gone now.
        """
        if self._closing is not None and self._meter.is_stopped:
            await asyncio.wait([self._closing])
            raise ConnectionResetError

    def _is_deaf(self, now: float) -> bool:
        """Whether the client has taken nothing of what waits for it, for long."""
        unread = self._transport.get_write_buffer_size()
        if unread == 0 or unread != self._unread:
            self._unread, self._unread_since = unread, now
        return now - self._unread_since > _SLOW_AFTER_S

    def _give_up_telling(self) -> None:
        """Close. A decision under way is carried out; whoever did not read it will ask again."""
        if self._deciding is None:
            self._end("slow", faults.CLOSED_SLOW)
        else:
            self._abort()

    def _hold(self, kind: WSMsgType, data: bytes) -> bool:
        """Hold a message that fits, at once: most frames are such. Whatever else it is has left no trace, and waits.

        Raises:
            Overloaded: If there is no room for it.
        """
        if self._dialog is None or kind is not self._opcode:
            return False
        try:
            frame = self._codec.decode_client(data)
            if type(frame) is not wire.Message:
                return False
            self._say(frame)
        except (wire.BadFrame, Gap, OverLimit, BadRequest, OutOfOrder):
            return False
        return True

    async def _receive(self, kind: WSMsgType, data: bytes) -> None:
        try:
            frame = self._decode(kind, data)
        except wire.BadFrame as bad:
            if kind is WSMsgType.TEXT and not _is_utf8(data):
                await self._close(faults.CLOSED_BAD_TEXT, "text is not UTF-8")  # RFC 6455 §8.1
            else:
                await self._refuse_frame(wire.Error("frame", str(bad)))
            return
        seq = frame.seq if isinstance(frame, wire.Message) else None
        try:
            await self._handle(frame)
        except (BadRequest, OutOfOrder) as refusal:
            await self._refuse_frame(faults.to_wire(refusal, seq))
        except Refusal as refusal:
            await self._answer(refusal, seq)

    def _decode(self, kind: WSMsgType, data: bytes) -> wire.FromClient:
        if kind is not self._opcode:
            raise wire.BadFrame("$", f"send {self._opcode.name.lower()} frames in this subprotocol")
        return self._codec.decode_client(data)

    async def _handle(self, frame: wire.FromClient) -> None:
        if isinstance(frame, wire.Message):
            self._say(frame)
        elif isinstance(frame, wire.Consent):
            await self._decide(frame)
        else:
            await self._open(frame)

    async def _open(self, frame: wire.Open) -> None:
        if self._dialog is not None:
            raise OutOfOrder("the dialog is open already; one connection is one dialog")
        service = self._service
        dialog = Dialog.open(
            frame, frame.dialog_id or str(uuid7()), service.catalogue, service.limits, service.clock.now()
        )
        self._dialog = dialog
        try:
            await service.registry.claim(dialog.id, self)
        except Refusal:
            self._dialog = None
            raise
        if self._dialog is not dialog:  # time ran out while the older connection's decision was waited for
            service.registry.release(dialog.id, self)
            return
        self.deadlines.open(service.clock.monotonic())
        service.metrics.opened.inc()
        await self._send(wire.Opened(dialog.id, service.catalogue.shown(dialog.wording), service.limits))

    def _say(self, message: wire.Message) -> None:
        dialog, service = self._open_dialog(), self._service
        if not self._ack_due or self._is_acking:
            # What is read in one turn of the loop is received at one time: asking for each costs a tenth of it all.
            self._turn, self._turn_s = service.clock.now(), service.clock.monotonic()
        added = dialog.say(message, self._turn)
        if added:  # and is no replay
            self._count(added + OVERHEAD_BYTES)
            self.deadlines.reset_idle(self._turn_s)
        self._ack_soon()

    async def _decide(self, consent: wire.Consent) -> None:
        """Carry the decision out. Until its outcome is known, nothing else of this dialog is looked at."""
        dialog = self._open_dialog()
        decision = dialog.decide(consent, self._service.catalogue)
        self.deadlines.reset_idle(self._service.clock.monotonic())
        self._deciding = asyncio.Event()
        try:
            with contextlib.suppress(ConnectionError):  # the decision was read, and is carried out
                await self._flush_ack()
            if isinstance(decision, Granted):
                await self._service.access.recheck(self._principal)  # a "no" is never refused
                await self._keep(dialog, decision)
            else:
                await self._discard(dialog, decision)
        finally:
            self._settle()

    async def _keep(self, dialog: Dialog, granted: Granted) -> None:
        with self._service.metrics.consent.time():
            stored = await self._service.archive.keep(dialog, granted, owner=self.owner, channel=CHANNEL)
        self._forget("stored")
        await self._send(stored)
        await self._close(faults.CLOSED_DECIDED, "stored")

    async def _discard(self, dialog: Dialog, declined: Declined) -> None:
        self._service.metrics.messages.inc(len(dialog.utterances))
        messages = dialog.forget()  # first of all: a "no" does not wait for the store
        await self._service.archive.decline(dialog.id, dialog.customer_id, owner=self.owner, retract=declined.retract)
        self._forget("discarded")
        await self._send(wire.Discarded(dialog.id, messages))
        await self._close(faults.CLOSED_DECIDED, "discarded")

    def _open_dialog(self) -> Dialog:
        if self._dialog is None:
            raise OutOfOrder("send `open` first")
        return self._dialog

    def _ack_soon(self) -> None:
        """Ack once for all that is read in this turn of the loop: the receive loop does not yield in between."""
        self._ack_due = True
        if self._ack_task is None:
            self._ack_task = self._loop.create_task(self._send_acks())

    async def _send_acks(self) -> None:
        try:
            while self._ack_due:
                await self._flush_ack()
        except ConnectionError:
            pass  # the receive loop will see it
        finally:
            self._ack_task = None

    async def _flush_ack(self) -> None:
        was_due, self._ack_due = self._ack_due, False
        if was_due and self._dialog is not None:
            self._is_acking = True
            try:
                await self._send(wire.Ack(len(self._dialog.utterances)))
            finally:
                self._is_acking = False

    async def _refuse_frame(self, error: wire.Error) -> None:
        self._bad_frames += 1
        self._service.metrics.refused.labels(error.code).inc()
        await self._send(error)
        if self._bad_frames >= _MOST_BAD_FRAMES:
            self._forget()
            self._hang_up(faults.CLOSED_TOO_MANY_BAD_FRAMES, "too many bad frames")

    async def _answer(self, refusal: Refusal, seq: int | None = None) -> None:
        """Tell the client, and close where the dialog cannot go on."""
        fault = faults.fault_of(refusal)
        self._service.metrics.refused.labels(refusal.code).inc()
        await self._flush_ack()
        await self._send(faults.to_wire(refusal, seq))
        if fault.close is not None:
            self._forget(refusal.code)
            await self._close(fault.close, refusal.code)

    async def _fail(self, refusal: Refusal) -> None:
        with contextlib.suppress(ConnectionError):
            await self._answer(refusal)

    async def _send(self, frame: wire.FromServer) -> None:
        await self._ws.send_frame(self._codec.encode(frame), self._opcode)

    async def _send_if_open(self, frame: wire.FromServer) -> None:
        with contextlib.suppress(ConnectionError):
            if self._closing is None and not self._ws.closed:
                await self._send(frame)

    def _hang_up(
        self, code: int, reason: str, last: wire.Error | None = None, *, within_s: float | None = None
    ) -> asyncio.Task[None]:
        """Close from outside the receive loop, which looks at no further frame and waits for the client's answer."""
        if self._closing is None:
            self._over = asyncio.Event()
            self._closing = self._service.tasks.start(
                self._say_goodbye(code, reason, last, self._over, within_s or _CLOSE_WITHIN_S)
            )
        return self._closing

    async def _say_goodbye(
        self, code: int, reason: str, last: wire.Error | None, over: asyncio.Event, within_s: float
    ) -> None:
        """Send a last frame and a close frame, and let the receive loop end with the client's answer."""
        try:
            async with asyncio.timeout(within_s):
                with contextlib.suppress(ConnectionError):
                    if last is not None:
                        await self._send(last)
                    await self._ws.say_goodbye(code, reason)
                await over.wait()
        except TimeoutError:
            self._abort()

    async def _close(self, code: int, reason: str) -> None:
        """Close, within bounds: a client that reads nothing would hold up a flush, and with it a stopping server."""
        try:
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                await self._ws.close(code=code, message=reason.encode())
        except TimeoutError:
            self._abort()

    def _abort(self) -> None:
        self._transport.abort()

    def _end(self, outcome: str, code: int) -> None:
        """Let go of everything now, then close."""
        self._forget(outcome)
        self._hang_up(code, outcome)

    def _count(self, size: int) -> None:
        self._service.registry.take(size)
        self._counted += size

    def _settle(self) -> None:
        """The outcome is known: whoever waits for it may go on."""
        deciding, self._deciding = self._deciding, None
        if deciding is not None:
            deciding.set()

    def _forget(self, outcome: str = "dropped") -> None:
        """Drop the dialog and what was counted for it; safe to call again."""
        self._settle()
        dialog, self._dialog = self._dialog, None
        self._service.registry.give_back(self._counted)
        self._counted = 0
        if dialog is not None:
            self._service.registry.release(dialog.id, self)
            self._service.metrics.ended.labels(outcome).inc()
            self._service.statistics.ended(dialog.bot, outcome)
            self._service.metrics.messages.inc(len(dialog.utterances))
            _log.debug("dialog ended", extra={"outcome": outcome})  # its id was the chatbot's to choose


_DATA: Final = (WSMsgType.TEXT, WSMsgType.BINARY)
_GONE: Final = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
