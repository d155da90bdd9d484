"""The messages of one dialog, held until it is decided, and what the server has of them. Pure.

The transcript outlives every socket. What `next` hands out on a socket, in this order:

    every message from the first       each one once, unless the server reports a gap
    then the consent, if one is open   once, unless the server misses messages

State of the dialog, on all sockets:

    `_messages`, `count`   what was added; `forget` discards the messages and keeps the count
    `_acked`               messages that some server has acknowledged; only they make room in the window
    `_doubt`               a grant was sent, and no answer arrived

State of the present socket, reset by `restart`:

    `_sent`, `_heard`, `_owed`   messages sent; acknowledged; added before the socket opened
    `_gap_at`, `_short_at`       the places at which the server last reported a gap, or too few messages
    `_asked`                     the consent was sent
    `_doubt_before`              `_doubt` before this socket's consent was sent

`refused` tells which message an error is about, and `take_out` takes it out of what the next sockets carry.

    event                            `_doubt` afterwards
    a grant is handed to a socket    True: it may arrive even if the socket fails at once
    this socket refuses it           as before it was sent: an earlier socket's grant may still be stored
    this socket's token has expired  the same; the consent stays open, for the next socket
    the socket is lost               unchanged
    the answer arrives               False

One event loop uses a transcript, and no method awaits, so there are no races; the order of the sockets' events is up to
`reconnector`.
"""

from datetime import datetime
from itertools import accumulate
from typing import Final

from msgspec.structs import replace

from . import wire
from .close_codes import Lost
from .errors import TooLong

WINDOW_MESSAGES: Final = 64
WINDOW_BYTES: Final = 256 * 1024


class Transcript:
    """One dialog as the chatbot sent it."""

    def __init__(self, opening: wire.Open) -> None:
        self.opening = opening
        self.consent: wire.Consent | None = None
        self.count = 0
        """Number of messages that were added; `forget` does not reset it."""
        self._messages: list[wire.Message] = []
        self._ends: list[int] = [0]  # bytes of text up to and including each message
        self._acked = 0  # on any socket
        self._sent = 0  # on this socket, as the next five
        self._heard = 0
        self._owed = 0
        self._gap_at: int | None = None
        self._short_at: int | None = None
        self._asked = False
        self._doubt = False  # on any socket
        self._doubt_before = False

    def __repr__(self) -> str:  # no message text in logs
        return f"Transcript(messages={self.count}, acked={self._acked})"

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def size(self) -> int:
        """Bytes of UTF-8 text that are held."""
        return self._ends[-1]

    @property
    def has_room(self) -> bool:
        """Whether another message may be added before more are acknowledged.

        Messages that were acknowledged once do not count again after a reconnect, so the chatbot does not notice one.
        """
        unacked = len(self._messages) - self._acked
        return unacked < WINDOW_MESSAGES and self.size - self._ends[self._acked] < WINDOW_BYTES

    @property
    def has_caught_up(self) -> bool:
        """Whether this socket has everything that was added before it opened, and no consent is open on it."""
        return self._heard >= self._owed and self.consent is None

    @property
    def is_unanswered(self) -> bool:
        """Whether consent was sent on this socket and not answered."""
        return self._asked

    @property
    def awaits_consent_only(self) -> bool:
        """Whether the only frame on this socket that has no answer is the consent."""
        return self._asked and self._heard == len(self._messages)

    @property
    def is_declining(self) -> bool:
        """Whether the open consent is a "no"."""
        return self.consent is not None and not self.consent.granted

    @property
    def in_doubt(self) -> bool:
        """Whether a grant was sent, on any socket, whose outcome is unknown."""
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
            TooLong: If it would exceed a limit.
            BadFrame: If an argument breaks the schema.
        """
        if len(text) > limits.max_text_bytes:  # before encoding it: a character has at least one byte
            raise TooLong(f"text exceeds {limits.max_text_bytes} bytes; split it into several messages")
        message = wire.Message(self.count + 1, text, role, language, sent_at)
        frame_bytes = len(checked(message, codec))
        text_bytes = _utf8_length(text)
        if message.seq > limits.max_messages:
            raise TooLong(f"the dialog has {limits.max_messages} messages already, the maximum; decide it")
        if text_bytes > limits.max_text_bytes:
            raise TooLong(f"text exceeds {limits.max_text_bytes} bytes; split it into several messages")
        if self.size + text_bytes > limits.max_dialog_bytes:
            raise TooLong(f"the dialog would exceed {limits.max_dialog_bytes} bytes; send a shorter text, or decide it")
        if frame_bytes > limits.max_frame_bytes:
            raise TooLong(f"the frame exceeds {limits.max_frame_bytes} bytes; split it into several messages")
        return message

    def add(self, message: wire.Message) -> None:
        """Hold a message that `compose` returned."""
        self._messages.append(message)
        self._ends.append(self.size + _utf8_length(message.text))
        self.count += 1

    def refused(self, seq: int | None) -> int | None:
        """Return the number of the message that this socket's first error is about; None if it is about none.

        An error about a frame that the server could not decode has no number. The server acks what it holds before it
        sends an error, so that frame is the one after the last ack. In doubt about an earlier socket no message may be
        missing: only the same dialog again settles the doubt.
        """
        number = self._heard + 1 if seq is None else seq
        is_in_doubt = self._doubt_before if self._asked else self._doubt
        return number if self._heard < number <= self._sent and not is_in_doubt else None

    def take_out(self, seq: int) -> None:
        """Take out a message that the server refused, between two sockets. Those after it move up; none is decided."""
        self.refuse()
        later = [replace(message, seq=message.seq - 1) for message in self._messages[seq:]]
        self._messages[seq - 1 :] = later
        self._ends = list(accumulate((_utf8_length(message.text) for message in self._messages), initial=0))
        self._acked -= seq <= self._acked
        self.count -= 1

    def forget(self) -> None:
        """Discard all messages."""
        self._messages.clear()
        self._ends = [0]
        self._acked = self._sent = self._heard = self._owed = 0

    def restart(self) -> None:
        """Begin a new socket, whose server has no message yet."""
        self._sent = self._heard = 0
        self._owed = len(self._messages)
        self._gap_at = self._short_at = None
        self._asked = False

    def next(self) -> wire.Message | wire.Consent | None:
        """Return the next frame for this socket, and count it as sent; None if everything was sent."""
        if self._sent < len(self._messages):
            self._sent += 1
            return self._messages[self._sent - 1]
        if self.consent is None or self._asked:
            return None
        self._asked = True
        self._doubt_before = self._doubt
        self._doubt = self._doubt or self.consent.granted  # before it is written to the socket
        return self.consent

    def ack(self, seq: int) -> None:
        """Record that the server holds every message up to `seq` in memory."""
        self._heard = max(self._heard, min(seq, len(self._messages)))
        self._acked = max(self._acked, self._heard)

    def fill_gap(self, expected: int) -> None:
        """Send again from the message that the server expects.

        Messages in transit behind the gap cause the same error once each; only the first one is acted on.

        Raises:
            Lost: If no such message exists.
        """
        held = self._checked_count(expected - 1)
        if held != self._gap_at:
            self._gap_at = self._sent = held

    def complete(self, held: int) -> None:
        """Consent was sent too early: send the messages after the `held` first ones again, then consent.

        Raises:
            Lost: If the server claims more messages than were added, or none more than the last time.
        """
        if held == self._short_at:
            raise Lost("the server makes no progress")  # or this would repeat forever
        self._short_at = self._sent = self._checked_count(held)
        self.take_back()

    def ask(self, consent: wire.Consent) -> None:
        """Open the consent, to be sent after the last message."""
        self.consent = consent
        self._asked = False

    def take_back(self) -> None:
        """The server did not take this socket's consent up: it counts as never sent, and is still open."""
        if self._asked:
            self._asked = False
            self._doubt = self._doubt_before

    def refuse(self) -> None:
        """The server decided nothing: this socket adds no doubt."""
        self.consent = None
        self.take_back()

    def settle(self) -> None:
        """The answer reached the chatbot: nothing is in doubt, and the messages are discarded."""
        self.consent = None
        self._asked = self._doubt = False
        self.forget()

    def _checked_count(self, held: int) -> int:
        if not 0 <= held <= len(self._messages):
            raise Lost("the server claims messages that were never sent")
        return held


def checked(frame: wire.FromClient, codec: wire.Codec) -> bytes:
    """Encode the frame, and check that a server will accept it; return its bytes.

    Raises:
        BadFrame: If it breaks the schema; the error names the field, never the value.
    """
    data = _encoded(frame, codec)
    if data is None:  # outside of `except`: a UnicodeEncodeError carries the whole text
        raise wire.BadFrame("$", "text contains a lone surrogate, which is not valid Unicode")
    codec.decode_client(data)
    if (
        isinstance(frame, wire.Open)
        and frame.metadata
        and wire.metadata_bytes(frame.metadata) > wire.MAX_METADATA_BYTES
    ):
        raise wire.BadFrame("$.metadata", f"Expected at most {wire.MAX_METADATA_BYTES} bytes of keys and values")
    if isinstance(frame, wire.Message) and frame.sent_at is not None and not wire.is_storable(frame.sent_at):
        raise wire.BadFrame("$.sent_at", "Expected a time in the years 2 to 9998")
    return data


def _encoded(frame: wire.FromClient, codec: wire.Codec) -> bytes | None:
    try:
        return codec.encode(frame)
    except UnicodeEncodeError:
        return None


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
