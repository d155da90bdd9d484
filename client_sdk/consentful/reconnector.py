"""Keeps a dialog at a server: connects, replays, listens, and starts over on another socket when one is lost."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

import aiohttp

from . import close_codes, wire
from .backoff import Backoff
from .clock import Clock
from .close_codes import Lost, StorageFailed
from .connection import Connection
from .endpoint import Endpoint
from .errors import Finished, Incomplete, Unavailable
from .transcript import Transcript

CONNECT_WITHIN_S: Final = 10.0
"""How long one try may take, from the first packet to `opened`."""
AT_LEAST_S: Final = 1.0
"""How long one try may take at least, when patience is almost at its end."""

Answer: TypeAlias = wire.Stored | wire.Discarded

_log: Final = logging.getLogger("consentful")
_LEFT: Final = "the dialog was left; open a new one"
_UNDECIDABLE: Final = frozenset(("empty", "notice", "purposes"))


class Reconnector:
    """Owns the sockets of one dialog, one after the other, in a task that ends with the answer or a failure.

    `opened` is what the latest server said to the dialog; `failure` is why the task ended by itself without an answer.
    """

    def __init__(
        self, transcript: Transcript, endpoint: Endpoint, patience: Callable[[], Backoff], clock: Clock
    ) -> None:
        self.opened: wire.Opened | None = None
        self.codec = wire.CODECS[wire.JSON]
        self.failure: BaseException | None = None
        self._transcript = transcript
        self._endpoint = endpoint
        self._patience = patience
        self._clock = clock
        self._backoff = patience()
        self._task: asyncio.Task[None] | None = None
        self._is_ending = False
        self._answer: asyncio.Future[Answer] | None = None
        self._unsent = asyncio.Event()
        self._progress = asyncio.Event()

    @property
    def name(self) -> str | None:
        return self._transcript.opening.dialog_id

    @property
    def is_final(self) -> bool:
        """Whether a server said that the dialog is over."""
        return isinstance(self.failure, Finished)

    async def start(self) -> None:
        """From here on the dialog is kept at a server, for as long as that is possible."""
        if self._is_ending or (self._task is not None and self._task.done()):
            await self.ended()  # and `_on_end` has run
        if self._task is None or self._task.done():
            self._is_ending = False
            self.failure = None
            self._backoff = self._patience()
            self._task = asyncio.create_task(self._keep(), name=f"consentful {self.name}")
            self._task.add_done_callback(self._on_end)

    def stop(self) -> None:
        """Let go of the socket, if there still is one. What the transcript holds is not touched."""
        if self._task is not None and not self._is_ending:
            self._is_ending = True
            self._task.cancel()

    async def ended(self) -> None:
        """Return once the socket is closed."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def check(self) -> None:
        """See that the dialog is still kept at a server, or on its way to one.

        Raises:
            ConsentfulError: Why it is not.
        """
        if self._is_ending:
            raise self.failure.with_traceback(None) if self.failure else Finished(_LEFT)  # a traceback may hold words

    async def until_opened(self) -> wire.Opened:
        """Return what the server says to the dialog, once one is reached.

        Raises:
            ConsentfulError: If none is reached, or one refuses.
        """
        while self.opened is None:
            await self._until_progress()
        return self.opened

    async def until_room(self) -> None:
        """Return once little enough is unacked.

        Raises:
            ConsentfulError: If the dialog came to its end.
        """
        while not self._transcript.has_room:
            await self._until_progress()

    def send(self) -> None:
        """There is something new in the transcript."""
        self._unsent.set()

    async def ask(self, consent: wire.Consent) -> Answer:
        """Return the server's answer, however many sockets it takes.

        If this is cancelled after the question went out, nobody listens for the answer any more: the socket is let go.

        Raises:
            Incomplete: If nothing is decided and the dialog goes on.
            Unavailable: If no server could be reached, or none could store.
            ConsentfulError: If the dialog came to its end.
        """
        patience = self._patience()
        while True:
            try:
                return await self._ask_once(consent)
            except StorageFailed as failed:
                wait = patience.fail(self._clock.monotonic())
                if wait is None:
                    raise Unavailable("the server cannot store at the moment; try again later") from failed
                _log.debug("dialog %s: could not be stored, asking again in %.2f s", self.name, wait)
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
                self.stop()
            raise
        finally:
            self._answer = None
            self._transcript.consent = None

    async def _until_progress(self) -> None:
        self.check()
        self._progress.clear()
        await self._progress.wait()

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """Tell everybody who waits that there is nothing more to wait for."""
        self._is_ending = True
        self.failure = None if task.cancelled() else task.exception()
        if self.is_final and not self._transcript.in_doubt:
            self._transcript.forget()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(self.failure or Finished(_LEFT))
        self._progress.set()

    async def _keep(self) -> None:
        self._backoff.begin(self._clock.monotonic())
        async with self._endpoint.http() as session:
            while True:
                try:
                    return await self._carry(session)
                except Lost as lost:
                    await self._wait_out(lost)

    async def _wait_out(self, lost: Lost) -> None:
        wait = self._backoff.fail(self._clock.monotonic(), lost.retry_after)
        if wait is None:
            raise Unavailable(f"no server could be reached ({lost.reason}); try again later") from lost
        _log.debug("dialog %s: %s, reconnecting in %.2f s", self.name, lost.reason, wait)
        await self._clock.sleep(wait)

    async def _carry(self, session: aiohttp.ClientSession) -> None:
        """Carry the dialog on one socket; return when it is decided."""
        connection = await self._open(session)
        try:
            await _together(self._read(connection), self._write(connection))
        finally:
            await connection.close()

    async def _open(self, session: aiohttp.ClientSession) -> Connection:
        connection: Connection | None = None
        left = self._backoff.left(self._clock.monotonic())
        try:
            async with asyncio.timeout(max(AT_LEAST_S, min(CONNECT_WITHIN_S, left))):
                connection = await self._endpoint.connect(session)
                opened = await connection.open(self._transcript.opening)
        except BaseException as error:
            if connection is not None:
                await connection.close()
            if isinstance(error, TimeoutError):
                raise Lost("no answer in time") from error
            raise
        self._transcript.restart()
        self.opened, self.codec = opened, connection.codec
        _log.debug("dialog %s: opened, %d messages to replay", self.name, len(self._transcript))
        self._on_progress()
        return connection

    async def _write(self, connection: Connection) -> None:
        """Send what is unsent, now and whenever there is more."""
        try:
            while not self._is_ending:
                self._unsent.clear()
                while (frame := self._transcript.next()) is not None:
                    await connection.send(frame)
                await self._unsent.wait()
        except Lost:
            return  # the reader learns why: what came in before may tell

    async def _read(self, connection: Connection) -> None:
        """Listen until the answer is there."""
        while not self._hear(await connection.receive()):
            pass

    def _hear(self, frame: wire.FromServer) -> bool:
        """Take in one frame; return whether it was the answer."""
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
        if self._transcript.is_regained:
            self._backoff.succeed(self._clock.monotonic())
        self._progress.set()

    def _on_answer(self, frame: Answer) -> None:
        consent = self._transcript.consent
        if consent is None or consent.granted is not isinstance(frame, wire.Stored):
            raise Lost("an answer to another question")
        _log.debug("dialog %s: %s, %d messages", self.name, type(frame).__name__.lower(), frame.messages)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(frame)
        self._is_ending = True
        self._unsent.set()

    def _on_error(self, error: wire.Error) -> None:
        """Mend what can be mended on this socket.

        Raises:
            Lost: If another socket may do.
            ConsentfulError: If the dialog cannot go on.
        """
        _log.debug("dialog %s: error %s, expected %s", self.name, error.code, error.expected)
        if error.code == "gap" and error.expected is not None:
            self._transcript.fill_gap(error.expected)
            self._unsent.set()
        elif error.code == "incomplete" and error.expected is not None:
            self._transcript.complete(error.expected)
            self._unsent.set()
        elif error.code == "storage" and error.retry:
            self._on_refusal(StorageFailed())
        elif error.code in _UNDECIDABLE:
            self._on_refusal(Incomplete(error.detail, error.code))
        elif end := close_codes.of_error(error):
            raise end

    def _on_refusal(self, refusal: StorageFailed | Incomplete) -> None:
        """Nothing is decided, and the dialog goes on."""
        self._transcript.refuse()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(refusal)


async def _together(reader: Coroutine[Any, Any, None], writer: Coroutine[Any, Any, None]) -> None:
    """Run both until they are done or one fails; if both fail, the reader knows more. Then neither runs."""
    tasks = [asyncio.create_task(reader), asyncio.create_task(writer)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
