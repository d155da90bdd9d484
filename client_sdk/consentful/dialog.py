"""The dialog of a chatbot with a customer: open it, add messages, and send the customer's decision to the server.

    open ──say──► open ──grant──► deciding ──stored──► over
                    │                │ refused (Incomplete): open again
                    │                │ no answer (OutcomeUnknown): in doubt, only grant and decline are left
                    ├──decline──► deciding ──discarded──► over
                    └──leave the block──► over; in doubt it stays as it is, for another grant or decline

`Dialog` checks what the chatbot may do, `Transcript` holds the messages, `Reconnector` keeps a socket. Everything runs
on one event loop; a dialog whose loop is closed can be decided in another one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Self, cast

from . import arguments, wire
from .clock import Clock
from .errors import (
    Conflict,
    ConsentfulError,
    Erased,
    Finished,
    Incomplete,
    MessageRefused,
    OutcomeUnknown,
    Unauthorised,
)
from .reconnector import Answer, Reconnector
from .transcript import Transcript, checked

_NOT_STORED: Final = (
    "nothing was stored: {}; call grant() again once the token callback returns a valid token, or open a new dialog"
)
_IN_DOUBT: Final = "consent was sent, but no answer arrived; call grant() to get the outcome, or decline() to undo it"


class Dialog:
    """One conversation with one customer, held in memory here and at a server until the customer decides.

    A lost connection is replaced, and all messages are sent again under the same dialog id, so the dialog is stored
    once or not at all. Create it with `open_dialog`.
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
    async def start(cls, transcript: Transcript, reconnector: Reconnector, clock: Clock) -> Self:
        """Return the dialog once a server has opened it; see `open_dialog`."""
        try:
            reconnector.enter()
            await reconnector.start()
            return cls(transcript, reconnector, await reconnector.until_opened(), clock)
        except BaseException:
            await _disconnect(reconnector)
            raise

    def __repr__(self) -> str:  # no message text in logs
        return f"Dialog(id={self.id!r}, messages={self._transcript.count})"

    @property
    def id(self) -> str:
        """The id under which the dialog is stored."""
        return self._opened.dialog_id

    @property
    def notice(self) -> wire.Notice:
        """The notice to show when asking for consent. It stays the same when the dialog moves to another server.

        Only if `grant` was refused with the code `notice` does it change; show the new one then.
        """
        return self._notice

    @property
    def limits(self) -> wire.Limits:
        """The limits of the server that holds the dialog now."""
        return (self._reconnector.opened or self._opened).limits

    async def say(
        self,
        text: str,
        role: wire.Role = "customer",
        language: str | None = None,
        sent_at: datetime | None = None,
    ) -> None:
        """Add one message. It is sent at once, and again whenever the dialog moves to another server.

        Waits for the server only while 64 messages or 256 KiB are not acknowledged. If it is cancelled while it waits,
        nothing was added. `sent_at` needs an offset; it is the current time if absent.

        Raises:
            TooLong: If a limit would be exceeded. Nothing was added; send a shorter text, or decide.
            MessageRefused: If the server refused an earlier message, which is taken out. Nothing was added now; call
                `say` again.
            OutcomeUnknown: If a grant got no answer: the dialog may be stored, so it can only be decided.
            Finished: If the dialog is over.
            ConsentfulError: If it cannot be kept at a server: `Unavailable`, `Unauthorised`, `Forbidden`, `Refused`.
            TypeError: If an argument has another type, such as bytes. Subclasses of `str` and `datetime` are taken.
            BadFrame: A `ValueError`, if an argument is invalid, such as an empty text, or a time without an offset.
        """
        text, role = arguments.text("text", text), arguments.role(role)
        language = arguments.text_or_none("language", language)
        moment = self._clock.now() if sent_at is None else arguments.moment("sent_at", sent_at)
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
        """The customer consents: when this returns, the whole dialog is stored durably, and the SDK has discarded it.

        `purposes` are some of the notice's purposes, all if absent. `notice` is the id of the notice that was shown,
        `self.notice` if absent. Lost connections, lost answers and temporary storage failures cost time, not the
        outcome.

        Cancelling this (with `asyncio.timeout`, for example) before the consent was sent changes nothing. After that
        the outcome is unknown: the connection is closed, this object keeps everything, and `grant` or `decline` can be
        called again, inside the block or after it. Either connects again and settles the outcome.

        Raises:
            Incomplete: If nothing was decided, because the dialog is empty, or the notice or a purpose is unknown. The
                dialog is still open.
            MessageRefused: If nothing was decided, because the server refused a message, which is taken out. Call
                `grant` again to store the dialog without it.
            OutcomeUnknown: If consent was sent, and no answer arrived. Call `grant` or `decline` again.
            Unauthorised: If the token is not accepted any more: nothing was stored. Inside the block `grant` can be
                called again, once the token callback returns a valid token.
            Unavailable: If no server was reached, and consent was never sent: nothing was stored. Inside the block
                `grant`
                or `decline` can be called again.
            Finished: If the dialog is over: `TimedOut`, `Superseded`, `Conflict`, `Erased`, or decided already.
            TypeError: If an argument has another type, such as a single text for `purposes`.
            BadFrame: A `ValueError`, if an argument is invalid.
        """
        self._check_may_decide()
        if self._has_declined:
            raise Finished("the customer declined, and the messages were discarded; open a new dialog")
        self._reconnector.check_messages()
        consent = wire.Consent(
            granted=True,
            last_seq=self._transcript.count,
            # The one that was shown, even if the current server offers another.
            notice=self._notice.id if notice is None else arguments.text("notice", notice),
            purposes=arguments.texts_or_none("purposes", purposes),
            given_by=cast("wire.GivenBy", arguments.text("given_by", given_by)),
        )
        checked(consent, self._reconnector.codec)
        try:
            answer = await self._decide(consent)
        except Incomplete as refusal:
            if refusal.code == "notice" and self._reconnector.opened is not None:
                self._notice = self._reconnector.opened.notice
            raise
        except Unauthorised as refusal:
            raise Unauthorised(_NOT_STORED.format(refusal.detail)) from refusal
        assert isinstance(answer, wire.Stored)
        return answer

    async def decline(self) -> wire.Discarded:
        """The customer does not consent: when this returns, nothing of the dialog is stored anywhere.

        The messages are discarded first, so `grant` cannot follow. After a lost connection only the refusal is sent
        again, no message. After a `grant` without an answer, this also undoes it: a stored dialog is erased, and a
        grant that is still in progress fails.

        Raises:
            OutcomeUnknown: If an earlier grant got no answer, and no server could be reached now. Call `decline` again.
            Unavailable: If no server could be reached. Nothing was stored, and the messages were discarded.
            Finished: If the dialog is over: `TimedOut`, `Superseded`, `Conflict`, or decided already.
        """
        self._check_may_decide()
        self._has_declined = True
        self._transcript.forget()
        count = self._transcript.count
        try:
            await self._decide(wire.Consent(granted=False, last_seq=count, retract=self._transcript.in_doubt))
        except Erased:
            self._over = "the dialog is decided; open a new one"  # an earlier refusal arrived, its answer was lost
        return wire.Discarded(self.id, count)

    async def close(self) -> None:
        """End the dialog, as at the end of the block of `open_dialog`. May be called again.

        Without a decision everything is discarded, here and at the server. In doubt it stays as it is, for another
        `grant` or `decline`.

        Raises:
            OutcomeUnknown: If a grant got no answer, and the program has not learned of that yet.
        """
        self._reconnector.enter()
        self._has_left = True
        if not self._transcript.in_doubt:
            self._over = self._over or "the dialog was left; open a new one"
            self._transcript.forget()
        await _disconnect(self._reconnector)
        if self._transcript.in_doubt and not self._knows_of_doubt:
            self._knows_of_doubt = True
            raise OutcomeUnknown(_IN_DOUBT, self)

    def _check_may_speak(self) -> None:
        self._check_may_decide()
        if self._transcript.in_doubt:
            self._knows_of_doubt = True
            raise OutcomeUnknown(_IN_DOUBT, self)
        if self._has_declined:
            raise Finished("the customer declined; open a new dialog")
        self._reconnector.check()
        self._reconnector.check_messages()

    def _check_may_decide(self) -> None:
        if self._over is not None:
            raise Finished(self._over)
        self._reconnector.enter()
        if self._is_deciding:
            raise RuntimeError("a decision is in progress; await it, or cancel it first")
        if self._reconnector.is_final and not self._transcript.in_doubt:
            self._reconnector.check()

    async def _decide(self, consent: wire.Consent) -> Answer:
        self._is_deciding = True
        self._knows_of_doubt = False
        try:
            answer = await self._reconnector.ask(consent)
        except (Incomplete, MessageRefused):
            raise
        except (Conflict, Erased):  # the store has answered: nothing is in doubt
            self._transcript.settle()
            raise
        except ConsentfulError as error:
            if not self._transcript.in_doubt:
                raise
            self._knows_of_doubt = True
            raise OutcomeUnknown(_IN_DOUBT, self) from error
        finally:
            self._is_deciding = False
            if self._has_left:  # after the block, nothing else would close the connection
                await _disconnect(self._reconnector)
        self._transcript.settle()
        self._over = "the dialog is decided; open a new one"
        return answer


async def _disconnect(reconnector: Reconnector) -> None:
    reconnector.stop()
    await reconnector.ended()
