"""Keeps a dialog at a server: connects, replays, receives, and starts again on another socket when one is lost.

    IDLE ──start──► KEPT ──answer, final error, stop──► ENDING ──the task is done──► ENDED ──start──► KEPT
                    │  ▲
                    └──┘ Lost: wait (`backoff`), then a new socket; no server within `reconnect_for`: ENDED

    IDLE      `_task` is None
    KEPT      `_task` runs `_keep`: one socket after the other, each with a reader task and a writer task
    ENDING    `_is_ending`; the socket is being closed
    ENDED     `_task` is done; `failure` is the reason, None after an answer or `stop`

Who may touch what: everything runs on one event loop. The reader and the writer change the transcript and the events;
the callers of `Dialog` add to the transcript, set `_unsent` and wait for `_progress` or `_answer`. Between two awaits a
method runs alone.

Races, and the line that closes each:

(R1) A dialog is decided while the task of an earlier decision is ENDING: `start` waits until that task is done and
     `_on_end` has run, before it creates the next one.
(R2) A message is added while the writer sends another one: the writer clears `_unsent` before it drains the transcript,
     so the next `wait` returns at once.
(R3) The server sends an error frame and closes, while the writer fails on the same socket: the writer ends quietly, and
     the reader, which sees the frames before the close, has the reason.
(R4) `ask` is cancelled after the consent was sent: the socket is closed, so that no later answer is mistaken for one to
     another consent. The transcript stays in doubt.
(R5) `ask` is cancelled before the consent was sent: the consent is withdrawn from the transcript, and nothing has
     changed.
(R6) The task ends while callers wait: `_on_end` fails the answer and sets `_progress`; a waiting caller then calls
     `check`, which raises the failure.
(R7) A socket is lost and replaced: both tasks of the old one have ended before the next one opens, so no frame of the
     old one is taken for one of the new.
(R8) A message is refused while later ones, and perhaps the consent, are in transit behind it: the server refuses them
     too, as they leave a gap. The message is taken out when the socket is closed, and the next one carries the rest
     under new numbers, so no answer to an old number is taken for one to a new.
(R9) A caller comes from another event loop (a second `asyncio.run`, another thread, a forked child): nothing there
     would wake it, so `enter` refuses it, unless the loop of the sockets is closed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

import aiohttp

from . import close_codes, wire
from .backoff import Backoff
from .clock import Clock
from .close_codes import Lost, StorageFailed
from .connection import Connection
from .endpoint import Endpoint
from .errors import ConsentfulError, Finished, Incomplete, MessageRefused, Refused, Unavailable
from .transcript import Transcript

CONNECT_WITHIN_S: Final = 10.0
"""How long one try may take, from the first packet to `opened`."""
AT_LEAST_S: Final = 1.0
"""How long one try may take at least, when the time to give up is near."""
_MOST_UNSTORED: Final = 3
"""How often one socket's server may fail to store before another socket is tried."""
WARN_AFTER_S: Final = 3.0
"""How long there is no server before the log tells it."""

Answer: TypeAlias = wire.Stored | wire.Discarded

_log: Final = logging.getLogger("consentful")
_NO_SERVER: Final = "dialog %s: no server for %.0f s (%s); giving up in %.0f s, see `timeout` and `reconnect_for`"
_LEFT: Final = "the dialog was left; open a new one"
_OTHER_LOOP: Final = (
    "the dialog belongs to another event loop, or to the process before a fork; use it where it was opened"
)
_LOOP_CLOSED: Final = (
    "the event loop in which the dialog was opened is closed, and its connection with it; call grant() or decline(), "
    "or open a new dialog, and use all of it in one event loop, or `consentful.sync`"
)
_UNDECIDABLE: Final = frozenset(("empty", "notice", "purposes"))


class Reconnector:
    """Owns the sockets of one dialog, one after the other, in a task that ends with the answer or a failure.

    `opened` is the latest server's answer to `open`. `failure` is the reason why the task ended without an answer.
    """

    def __init__(
        self,
        transcript: Transcript,
        endpoint: Endpoint,
        new_backoff: Callable[[], Backoff],
        clock: Clock,
        *,
        first: Backoff,
    ) -> None:
        self.opened: wire.Opened | None = None
        self.codec = wire.CODECS[wire.JSON]
        self.failure: BaseException | None = None
        self._transcript = transcript
        self._endpoint = endpoint
        self._new_backoff = new_backoff
        self._clock = clock
        self._first = first
        self._backoff: Backoff = first
        self._has_warned = False
        self._unstored = 0  # refusals on this socket
        self._loop: asyncio.AbstractEventLoop | None = None  # the one of the task and of all that waits
        self._task: asyncio.Task[None] | None = None
        self._is_ending = False
        self._refusals: deque[MessageRefused] = deque()  # that no caller has learned of
        self._answer: asyncio.Future[Answer] | None = None
        self._unsent = asyncio.Event()
        self._progress = asyncio.Event()

    @property
    def name(self) -> str | None:
        return self._transcript.opening.dialog_id

    @property
    def is_final(self) -> bool:
        """Whether a server declared the dialog over."""
        return isinstance(self.failure, Finished)

    def enter(self) -> None:
        """Belong to the running event loop, unless another one carries the dialog (R9).

        Raises:
            RuntimeError: If another one does.
        """
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None:
            if not self._loop.is_closed():
                raise RuntimeError(_OTHER_LOOP)
            self.failure = self.failure or Unavailable(_LOOP_CLOSED)
            self._is_ending, self._task = True, None
            self._unsent, self._progress = asyncio.Event(), asyncio.Event()
        self._loop = loop

    async def start(self) -> None:
        """Start keeping the dialog at a server, unless it is being kept already."""
        if self._is_ending or (self._task is not None and self._task.done()):
            await self.ended()  # (R1) `_on_end` has run then: callbacks run in the order in which they were added
        if self._task is None or self._task.done():
            self._is_ending = False
            self.failure = None
            self._backoff = self._first if self.opened is None else self._new_backoff()
            self._task = asyncio.create_task(self._keep(), name=f"consentful {self.name}")
            self._task.add_done_callback(self._on_end)

    def stop(self) -> None:
        """Close the socket, if there is one. The transcript stays as it is."""
        if self._task is not None and not self._is_ending:
            self._is_ending = True
            self._task.cancel()

    async def ended(self) -> None:
        """Return when the socket is closed."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def check(self) -> None:
        """Check that the dialog is kept at a server, or is being reconnected.

        Raises:
            ConsentfulError: The reason why it is not.
        """
        if self._is_ending:
            # Without its traceback, whose frames may hold message text.
            raise self.failure.with_traceback(None) if self.failure else Finished(_LEFT)

    def check_messages(self) -> None:
        """Check that no message was refused that the chatbot has not learned of.

        Raises:
            MessageRefused: Once for each that was.
        """
        if self._refusals:
            raise self._refusals.popleft()

    async def until_opened(self) -> wire.Opened:
        """Return the server's answer to `open`, once a server was reached.

        Raises:
            ConsentfulError: If none could be reached, or one refused.
        """
        while self.opened is None:
            await self._until_progress()
        return self.opened

    async def until_room(self) -> None:
        """Return when the number and size of unacknowledged messages are below the window.

        Raises:
            ConsentfulError: If the dialog ended.
        """
        while not self._transcript.has_room:
            await self._until_progress()

    def send(self) -> None:
        """Send what was added to the transcript."""
        self._unsent.set()

    async def ask(self, consent: wire.Consent) -> Answer:
        """Send the consent and return the server's answer, with as many sockets as it takes.

        If it is cancelled after the consent was sent, the socket is closed (R4).

        Raises:
            Incomplete, MessageRefused: If nothing was decided, and the dialog is still open.
            Unavailable: If no server could be reached, or none could store.
            ConsentfulError: If the dialog ended.
        """
        backoff = self._new_backoff()
        while True:
            try:
                return await self._ask_once(consent)
            except StorageFailed as failed:
                wait = backoff.fail(self._clock.monotonic())
                if wait is None:
                    raise Unavailable("the server cannot store at the moment; try again later") from failed
                _log.debug("dialog %s: not stored, asking again in %.2f s", self.name, wait)
                await self._clock.sleep(wait)

    async def _ask_once(self, consent: wire.Consent) -> Answer:
        await self.start()
        answer = self._answer = asyncio.get_running_loop().create_future()
        self._transcript.ask(consent)
        self._unsent.set()
        try:
            return await answer
        except asyncio.CancelledError:
            if self._transcript.is_unanswered:
                self.stop()  # (R4)
            raise
        finally:
            self._answer = None
            self._transcript.consent = None  # (R5)

    async def _until_progress(self) -> None:
        self.check()  # (R6)
        self._progress.clear()
        await self._progress.wait()

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """Wake all callers that wait: no answer and no progress will come from this task."""
        self._is_ending = True
        self.failure = None if task.cancelled() else task.exception()
        # In doubt the messages are needed once more, to replay them with the next decision.
        if self.is_final and not self._transcript.in_doubt:
            self._transcript.forget()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(self.failure or Finished(_LEFT))  # (R6)
        self._progress.set()

    async def _keep(self) -> None:
        self._backoff.begin(self._clock.monotonic())
        async with self._endpoint.http() as session:
            while True:
                try:
                    return await self._carry(session)
                except MessageRefused as refused:
                    self._take_out(refused)
                    await self._wait_out(Lost("message refused"))
                except Lost as lost:
                    await self._wait_out(lost)

    def _take_out(self, refused: MessageRefused) -> None:
        """Go on without a message that the server refused, and tell the next caller, or the one that waits."""
        _log.warning("dialog %s: message %d refused (%s) and taken out", self.name, refused.seq, refused.code)
        self._transcript.take_out(refused.seq)  # (R8)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(refused)
        else:
            self._refusals.append(refused)
        self._progress.set()

    async def _wait_out(self, lost: Lost) -> None:
        now = self._clock.monotonic()
        wait = self._backoff.fail(now, lost.retry_after)
        if wait is None:
            raise Unavailable(f"no server could be reached ({lost.reason}); try again later") from lost
        trouble, left = self._backoff.trouble(now), self._backoff.left(now)
        if trouble >= WARN_AFTER_S and not self._has_warned:
            self._has_warned = True
            _log.warning(_NO_SERVER, self.name, trouble, lost.reason, left)
        _log.debug("dialog %s: %s, reconnecting in %.2f s", self.name, lost.reason, wait)
        await self._clock.sleep(wait)

    async def _carry(self, session: aiohttp.ClientSession) -> None:
        """Keep the dialog on one socket until it is decided."""
        connection = await self._open(session)
        try:
            await _together(self._read(connection), self._write(connection))
        finally:
            await connection.close()

    async def _open(self, session: aiohttp.ClientSession) -> Connection:
        connection: Connection | None = None
        left = self._backoff.left(self._clock.monotonic())
        try:
            # Also `opened` counts: a proxy may accept connections for a server that is down.
            async with asyncio.timeout(max(AT_LEAST_S, min(CONNECT_WITHIN_S, left))):
                connection = await self._endpoint.connect(session)
                opened = await connection.open(self._transcript.opening)
        except BaseException as error:
            if connection is not None:
                await connection.close()
            if isinstance(error, TimeoutError):
                raise Lost(self._endpoint.shortage() or "no answer in time") from error
            raise
        # Only now, and without an await until the writer runs: nothing was sent on this socket but `open`.
        self._transcript.restart()
        self._unstored = 0
        if self.opened is None:
            self._backoff = self._new_backoff()
        self.opened, self.codec = opened, connection.codec
        _log.debug("dialog %s: opened, %d messages to replay", self.name, len(self._transcript))
        self._on_progress()
        return connection

    async def _write(self, connection: Connection) -> None:
        """Send what is unsent, now and whenever more is added."""
        try:
            while not self._is_ending:
                self._unsent.clear()  # (R2)
                while (frame := self._transcript.next()) is not None:
                    await connection.send(frame)
                await self._unsent.wait()
        except Lost:
            return  # (R3)

    async def _read(self, connection: Connection) -> None:
        """Receive frames until the answer arrives."""
        while not self._handle(await connection.receive()):
            pass

    def _handle(self, frame: wire.FromServer) -> bool:
        """Handle one frame; return whether it was the answer."""
        if isinstance(frame, wire.Ack):
            self._transcript.ack(frame.seq)
            _log.debug("dialog %s: acked up to %d", self.name, frame.seq)
            self._on_progress()
        elif isinstance(frame, wire.Error):
            self._on_error(frame)
        elif isinstance(frame, wire.Closing):
            _log.debug("dialog %s: will be closed in %.0f s (%s)", self.name, frame.in_s, frame.reason)
        elif isinstance(frame, wire.Stored | wire.Discarded):
            self._on_answer(frame)
            return True
        return False

    def _on_progress(self) -> None:
        if self._transcript.has_caught_up:
            self._backoff.succeed(self._clock.monotonic())
            self._has_warned = False
        self._progress.set()

    def _on_answer(self, frame: Answer) -> None:
        consent = self._transcript.consent
        if consent is None or consent.granted is not isinstance(frame, wire.Stored):
            raise Lost("an answer to another consent")
        _log.debug("dialog %s: %s, %d messages", self.name, type(frame).__name__.lower(), frame.messages)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(frame)
        self._is_ending = True
        self._unsent.set()

    def _on_error(self, error: wire.Error) -> None:
        """Repair what can be repaired on this socket.

        Raises:
            Lost: If another socket may succeed.
            MessageRefused: If it may without one of the messages.
            ConsentfulError: If the dialog cannot continue.
        """
        _log.debug("dialog %s: error %s, expected %s", self.name, error.code, error.expected)
        if self._transcript.is_declining and not error.retry:
            return  # about messages, which are discarded: a "no" is never refused
        if error.code == "gap" and error.expected is not None:
            self._transcript.fill_gap(error.expected)
            self._unsent.set()
        elif error.code == "conflict" and error.seq is not None:
            raise Lost("the server holds another text of a message")  # a new socket's server holds none
        elif error.code == "incomplete" and error.expected is not None:
            self._transcript.complete(error.expected)
            self._unsent.set()
        elif error.code == "storage" and error.retry:
            self._on_refusal(StorageFailed())
            self._backoff.succeed(self._clock.monotonic())
            self._unstored += 1
            if self._unstored >= _MOST_UNSTORED:
                raise Lost("the server cannot store")  # another node may: one that reaches the database
        elif error.code in _UNDECIDABLE:
            self._on_refusal(Incomplete(error.detail, error.code))
        elif error.code == "token_expired":
            self._transcript.take_back()  # the server looks at the token before it stores anything
            raise Lost("the token has expired")  # the callback may have a new one
        elif end := close_codes.of_error(error):
            self._on_refused_frame(error, end)

    def _on_refused_frame(self, error: wire.Error, end: Lost | ConsentfulError) -> None:
        """Raise the error's meaning, unless it is about the consent alone: then the dialog is still open."""
        if isinstance(end, Refused) and self._transcript.awaits_consent_only:
            self._on_refusal(Incomplete(error.detail, error.code))
            return
        seq = self._transcript.refused(error.seq)
        raise MessageRefused(error.detail, error.code, seq) if seq and isinstance(end, Refused) else end

    def _on_refusal(self, refusal: StorageFailed | Incomplete) -> None:
        """Pass the refusal on; nothing was decided, and the dialog is still open."""
        self._transcript.refuse()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(refusal)


async def _together(reader: Coroutine[Any, Any, None], writer: Coroutine[Any, Any, None]) -> None:
    """Run both until they are done or one fails; if both fail, raise the reader's error. Neither runs afterwards."""
    tasks = [asyncio.create_task(reader), asyncio.create_task(writer)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task in done:
                task.result()  # (R3) the reader's comes first
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # (R7)
