"""What was said, held until it is decided, and how much of it a server has heard. Pure: no socket, task or clock.

The transcript outlives every socket. `restart` begins a new one; from then on `next` hands out what that socket has
yet to carry: every message from the first, then the question of consent, if one is open.
"""

from datetime import datetime
from typing import Final

from . import wire
from .close_codes import Lost
from .errors import TooLong

WINDOW_MESSAGES: Final = 64
WINDOW_BYTES: Final = 256 * 1024


class Transcript:
    """One dialog as the chatbot told it."""

    def __init__(self, opening: wire.Open) -> None:
        self.opening = opening
        self.consent: wire.Consent | None = None
        self.count = 0
        """How many messages were said; it survives `forget`."""
        self._messages: list[wire.Message] = []
        self._ends: list[int] = [0]  # bytes of text up to and with each message
        self._acked = 0  # on any socket
        self._sent = 0  # on this socket, like what follows
        self._heard = 0
        self._owed = 0
        self._gap_at: int | None = None
        self._short_at: int | None = None
        self._asked = False
        self._doubt = False  # on any socket
        self._doubt_before = False

    def __repr__(self) -> str:  # words are contraband
        return f"Transcript(messages={self.count}, acked={self._acked})"

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def size(self) -> int:
        """Bytes of UTF-8 that are held."""
        return self._ends[-1]

    @property
    def has_room(self) -> bool:
        """Whether another message may be said before more is acked.

        What was acked once does not count again after a reconnect: the chatbot is not to notice one.
        """
        unacked = len(self._messages) - self._acked
        return unacked < WINDOW_MESSAGES and self.size - self._ends[self._acked] < WINDOW_BYTES

    @property
    def is_regained(self) -> bool:
        """Whether this socket has heard all that was said before it, and no question is open on it."""
        return self._heard >= self._owed and self.consent is None

    @property
    def is_unanswered(self) -> bool:
        """Whether this socket carried a question that it has not answered."""
        return self._asked

    @property
    def in_doubt(self) -> bool:
        """Whether a grant went out, on this socket or an earlier one, and nobody knows what became of it."""
        return self._doubt

    def compose(
        self,
        text: str,
        role: wire.Role,
        language: str | None,
        sent_at: datetime,
        limits: wire.Limits,
        codec: wire.Codec,
    ) -> wire.Message:
        """Return the next message; nothing is held yet.

        Raises:
            TooLong: If it would break a limit.
            BadFrame: If an argument breaks the wire's schema.
        """
        if len(text) > limits.max_text_bytes:  # spares encoding a novel
            raise TooLong(f"the text has more than {limits.max_text_bytes} bytes; say it in several messages")
        message = wire.Message(self.count + 1, text, role, language, sent_at)
        frame_bytes = len(checked(message, codec))
        text_bytes = _utf8_length(text)
        if message.seq > limits.max_messages:
            raise TooLong(f"the dialog has {limits.max_messages} messages, the most there may be; decide it")
        if text_bytes > limits.max_text_bytes:
            raise TooLong(f"the text has more than {limits.max_text_bytes} bytes; say it in several messages")
        if self.size + text_bytes > limits.max_dialog_bytes:
            raise TooLong(f"the dialog would have more than {limits.max_dialog_bytes} bytes; say less, or decide it")
        if frame_bytes > limits.max_frame_bytes:
            raise TooLong(f"the frame has more than {limits.max_frame_bytes} bytes; say it in several messages")
        return message

    def add(self, message: wire.Message) -> None:
        """Hold a message that `compose` made."""
        self._messages.append(message)
        self._ends.append(self.size + _utf8_length(message.text))
        self.count += 1

    def forget(self) -> None:
        """Let go of every word."""
        self._messages.clear()
        self._ends = [0]
        self._acked = self._sent = self._heard = self._owed = 0

    def restart(self) -> None:
        """Begin a new socket, which has heard nothing."""
        self._sent = self._heard = 0
        self._owed = len(self._messages)
        self._gap_at = self._short_at = None
        self._asked = False

    def next(self) -> wire.Message | wire.Consent | None:
        """Return what to send next on this socket, and count it as sent; None if it carried everything."""
        if self._sent < len(self._messages):
            self._sent += 1
            return self._messages[self._sent - 1]
        if self.consent is None or self._asked:
            return None
        self._asked = True
        self._doubt_before = self._doubt
        self._doubt = self._doubt or self.consent.granted
        return self.consent

    def ack(self, seq: int) -> None:
        """The server holds every message up to `seq` in memory."""
        self._heard = max(self._heard, min(seq, len(self._messages)))
        self._acked = max(self._acked, self._heard)

    def fill_gap(self, expected: int) -> None:
        """Send again from the message that the server expects.

        Messages that were under way behind the gap each bring the same complaint: one is enough.

        Raises:
            Lost: If there is no such message.
        """
        held = self._checked_count(expected - 1)
        if held != self._gap_at:
            self._gap_at = self._sent = held

    def complete(self, held: int) -> None:
        """The question came too early: send again what follows the `held` messages, then ask again.

        Raises:
            Lost: If the server has more than was ever said, or got no further since it was last told.
        """
        if held == self._short_at:
            raise Lost("the server makes no progress")
        self._short_at = self._sent = self._checked_count(held)
        self._take_back()

    def ask(self, consent: wire.Consent) -> None:
        """Open the question, to be sent after the last message."""
        self.consent = consent
        self._asked = False

    def refuse(self) -> None:
        """The server answered that nothing is decided: no doubt remains from this socket."""
        self.consent = None
        self._take_back()

    def settle(self) -> None:
        """The answer has reached the chatbot: nothing is in doubt, and the words are let go."""
        self.consent = None
        self._asked = self._doubt = False
        self.forget()

    def _take_back(self) -> None:
        """The question on this socket counts as never asked."""
        if self._asked:
            self._asked = False
            self._doubt = self._doubt_before

    def _checked_count(self, held: int) -> int:
        if not 0 <= held <= len(self._messages):
            raise Lost("the server lost count")
        return held


def checked(frame: wire.FromClient, codec: wire.Codec) -> bytes:
    """Return the frame's bytes, having seen that a server will accept them.

    Raises:
        BadFrame: If they break the wire's schema; it names the field, never the value.
    """
    data = _encoded(frame, codec)
    if data is None:  # not raised where it is caught: a UnicodeEncodeError carries the whole text
        raise wire.BadFrame("$", "text with a lone surrogate, which is not Unicode")
    codec.decode_client(data)
    if isinstance(frame, wire.Message) and frame.sent_at is not None and not wire.is_storable(frame.sent_at):
        raise wire.BadFrame("$.sent_at", "a time in the years 2 to 9998")
    return data


def _encoded(frame: wire.FromClient, codec: wire.Codec) -> bytes | None:
    try:
        return codec.encode(frame)
    except UnicodeEncodeError:
        return None


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
