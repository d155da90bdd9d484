"""The dialog that a chatbot holds: open it, speak, and bring the customer's decision to the server."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Final

import aiohttp

from . import wire
from .backoff import JITTER, Backoff
from .clock import Clock, SystemClock
from .endpoint import TLS, Encoding, Endpoint, Token, live_url
from .errors import Conflict, ConsentfulError, Erased, Finished, Incomplete, OutcomeUnknown
from .identifiers import uuid7
from .reconnector import Answer, Reconnector
from .transcript import Transcript, checked

_CLOCK: Final = SystemClock()
_IN_DOUBT: Final = "consent was sent, but no answer came; call grant() to learn the outcome, or decline() to undo it"


class Dialog:
    """One conversation with one customer, held in memory here and at a server until the customer decides.

    Sockets come and go underneath: a lost one is replaced, and everything is said again under the same id, so that
    the dialog is stored once or not at all. Made by `open_dialog`.
    """

    def __init__(self, transcript: Transcript, reconnector: Reconnector, opened: wire.Opened, clock: Clock) -> None:
        self._transcript = transcript
        self._reconnector = reconnector
        self._clock = clock
        self._opened = opened
        self._notice = opened.notice
        self._over: str | None = None
        self._is_deciding = False
        self._has_declined = False
        self._has_left = False
        self._knows_of_doubt = False

    @classmethod
    @asynccontextmanager
    async def open(cls, transcript: Transcript, reconnector: Reconnector, clock: Clock) -> AsyncGenerator["Dialog"]:
        """Keep the dialog at a server while the block lasts; see `open_dialog`."""
        try:
            await reconnector.start()
            dialog = cls(transcript, reconnector, await reconnector.until_opened(), clock)
        except BaseException:
            await _let_go(reconnector)
            raise
        try:
            yield dialog
        except BaseException:
            await dialog._leave()
            raise
        await dialog._leave()
        if transcript.in_doubt and not dialog._knows_of_doubt:
            raise OutcomeUnknown(_IN_DOUBT, dialog)

    def __repr__(self) -> str:  # words are contraband
        return f"Dialog(id={self.id!r}, messages={self._transcript.count})"

    @property
    def id(self) -> str:
        """What the dialog is stored under."""
        return self._opened.dialog_id

    @property
    def notice(self) -> wire.Notice:
        """What to show when asking for consent. It stays the same, whichever server the dialog moves to.

        Only when `grant` was refused with the code `notice` is it another one, to be shown anew.
        """
        return self._notice

    @property
    def limits(self) -> wire.Limits:
        """How much the server that holds the dialog now takes."""
        return (self._reconnector.opened or self._opened).limits

    async def say(
        self,
        text: str,
        role: wire.Role = "customer",
        language: str | None = None,
        sent_at: datetime | None = None,
    ) -> None:
        """Add one message; it is on its way, and said again wherever the dialog moves.

        Does not wait for the server, unless 64 messages or 256 KiB are unacked. If it is cancelled while it waits,
        nothing was said. `sent_at`, with an offset, is now if absent.

        Raises:
            TooLong: If a limit would be broken. Nothing was said; say something shorter, or decide.
            OutcomeUnknown: If a grant got no answer: the dialog may be stored, so it can only be decided.
            Finished: If the dialog is over.
            ConsentfulError: If it cannot be kept at a server: `Unavailable`, `Unauthorised`, `Forbidden`, `Refused`.
            wire.BadFrame: A `ValueError`, if an argument is not what the wire takes, such as an empty text.
        """
        moment = sent_at or self._clock.now()
        while True:
            self._check_may_speak()
            message = self._transcript.compose(text, role, language, moment, self.limits, self._reconnector.codec)
            if self._transcript.has_room:
                break
            await self._reconnector.until_room()
        self._transcript.add(message)
        self._reconnector.send()

    async def grant(
        self,
        purposes: Sequence[str] | None = None,
        notice: str | None = None,
        given_by: wire.GivenBy = "self",
    ) -> wire.Stored:
        """The customer agrees: the whole dialog is durable when this returns, and the SDK has let go of it.

        `purposes` are some of the notice's, all of them if absent; `notice` is the id of the wording that was shown,
        `self.notice` if absent. Lost sockets, lost answers and passing storage failures cost time, not the outcome.

        Cancelling this (by `asyncio.timeout`, for example) before the question went out changes nothing. After that
        the outcome is open: the connection is let go, this object keeps everything, and `grant` or `decline` may be
        called again, inside the block or after it. Either connects anew and brings the matter to an end.

        Raises:
            Incomplete: If nothing was decided because the dialog is empty, or the notice or a purpose unknown. The
                dialog goes on.
            OutcomeUnknown: If the question went out, and no answer could be had. Call `grant` or `decline` again.
            Unavailable: If no server could be reached, and the question never went out: nothing was stored. Inside
                the block `grant` or `decline` may be called again.
            Finished: If the dialog is over: `TimedOut`, `Superseded`, `Conflict`, `Erased`, or decided already.
            wire.BadFrame: A `ValueError`, if an argument is not what the wire takes.
        """
        self._check_may_decide()
        if self._has_declined:
            raise Finished("the customer declined, and the words are gone; open a new dialog")
        consent = wire.Consent(
            granted=True,
            last_seq=self._transcript.count,
            notice=notice or self._notice.id,  # what was shown, not what the server of the moment would show
            purposes=None if purposes is None else list(purposes),
            given_by=given_by,
        )
        checked(consent, self._reconnector.codec)
        try:
            answer = await self._decide(consent)
        except Incomplete as refusal:
            if refusal.code == "notice" and self._reconnector.opened is not None:
                self._notice = self._reconnector.opened.notice
            raise
        assert isinstance(answer, wire.Stored)
        return answer

    async def decline(self) -> wire.Discarded:
        """The customer does not agree: nothing of the dialog is kept anywhere when this returns.

        The words are let go of before anything else, so this cannot be followed by `grant`. If the connection is
        lost, only the "no" is repeated, no word. After a `grant` that got no answer it also takes that back: a dialog
        that was stored is erased, and a grant that still waits somewhere fails.

        Raises:
            OutcomeUnknown: If an earlier grant got no answer, and this could not be brought to a server either. Call
                `decline` again.
            Unavailable: If no server could be reached. Nothing was stored, and the words are gone.
            Finished: If the dialog is over: `TimedOut`, `Superseded`, `Conflict`, or decided already.
        """
        self._check_may_decide()
        self._has_declined = True
        self._transcript.forget()
        said = self._transcript.count
        try:
            await self._decide(wire.Consent(granted=False, last_seq=said, retract=self._transcript.in_doubt))
        except Erased:
            self._over = "the dialog is decided; open a new one"  # an earlier "no" got through, its answer did not
        return wire.Discarded(self.id, said)

    def _check_may_speak(self) -> None:
        self._check_may_decide()
        if self._transcript.in_doubt:
            self._knows_of_doubt = True
            raise OutcomeUnknown(_IN_DOUBT, self)
        if self._has_declined:
            raise Finished("the customer declined; open a new dialog")
        self._reconnector.check()

    def _check_may_decide(self) -> None:
        if self._over is not None:
            raise Finished(self._over)
        if self._is_deciding:
            raise RuntimeError("a decision is under way; await it, or cancel it first")
        if self._reconnector.is_final and not self._transcript.in_doubt:
            self._reconnector.check()

    async def _decide(self, consent: wire.Consent) -> Answer:
        self._is_deciding = True
        self._knows_of_doubt = False
        try:
            answer = await self._reconnector.ask(consent)
        except Incomplete:
            raise
        except (Conflict, Erased):  # the server has looked: nothing is in doubt
            self._transcript.settle()
            raise
        except ConsentfulError as error:
            if not self._transcript.in_doubt:
                raise
            self._knows_of_doubt = True
            raise OutcomeUnknown(_IN_DOUBT, self) from error
        finally:
            self._is_deciding = False
            if self._has_left:  # nobody else will
                await _let_go(self._reconnector)
        self._transcript.settle()
        self._over = "the dialog is decided; open a new one"
        return answer

    async def _leave(self) -> None:
        """End of the block: without doubt everything is dropped; in doubt it is kept for another decision."""
        self._has_left = True
        if not self._transcript.in_doubt:
            self._over = self._over or "the dialog was left; open a new one"
            self._transcript.forget()
        await _let_go(self._reconnector)


async def _let_go(reconnector: Reconnector) -> None:
    reconnector.stop()
    await reconnector.ended()


def open_dialog(
    url: str,
    *,
    customer_id: str,
    dialog_id: str | None = None,
    language: str | None = None,
    bot: str | None = None,
    metadata: Mapping[str, str] | None = None,
    token: Token | None = None,
    reconnect_for: float = 120.0,
    encoding: Encoding = "json",
    heartbeat: float = 20.0,
    ssl: TLS | None = None,
    session: aiohttp.ClientSession | None = None,
    clock: Clock = _CLOCK,
    random: Callable[[], float] = JITTER,
) -> AbstractAsyncContextManager[Dialog]:
    """Open a dialog at the service whose address is `url` (ws, wss, http or https), and let go of it after the block.

    Leaving the block without a decision drops everything, here and at the server. Only if a `grant` was cut off
    after it went out does the dialog stay as it is, for another `grant` or `decline`; if the program was not told yet
    (because it swallowed the cancellation), leaving raises `OutcomeUnknown`.

    Args:
        url: The service's address; a path is kept, for services behind one.
        customer_id: The chatbot's own name of the customer.
        dialog_id: The dialog's name; the SDK makes a UUIDv7 if absent, so that a replay names the same dialog.
        language: BCP 47 tag of messages that carry none; it also chooses the notice.
        bot: Which chatbot speaks.
        metadata: Whatever else is to be kept with the dialog, at most 4 KiB.
        token: Sent as `Authorization: Bearer`. A callable is called anew for each connection, in a thread unless it
            is `async`; it raises `Unauthorised` to stop, anything else to be tried again.
        reconnect_for: Seconds without a server after which the SDK gives up; also for the first connection.
        encoding: `json` can be read with any tool; `msgpack` is smaller, by a quarter for short messages.
        heartbeat: Seconds of silence after which the server is asked whether it is still there.
        ssl: Certificates to trust, as aiohttp takes them.
        session: An HTTP session to connect with, for proxies. Its connector's limit counts every dialog.
        clock: Where time comes from; for tests.
        random: Returns numbers in [0, 1), for the jitter; for tests.

    Raises:
        Unavailable: If no server could be reached.
        Unauthorised, Forbidden: If the token does not do.
        Finished: If the dialog id is taken (`Conflict`) or was erased (`Erased`).
        Refused: If the server refuses for another reason.
        ValueError: If the address is none, or an argument is not what the wire takes (`wire.BadFrame`).
    """
    opening = wire.Open(
        customer_id,
        dialog_id=str(uuid7()) if dialog_id is None else dialog_id,
        language=language,
        bot=bot,
        metadata=dict(metadata) if metadata else None,
    )
    checked(opening, wire.CODECS[wire.JSON])
    endpoint = Endpoint(
        url=live_url(url),
        token=token,
        encoding=encoding,
        ssl=True if ssl is None else ssl,
        heartbeat=heartbeat,
        clock=clock,
        session=session,
    )
    transcript = Transcript(opening)
    reconnector = Reconnector(transcript, endpoint, partial(Backoff, reconnect_for, random), clock)
    return Dialog.open(transcript, reconnector, clock)
