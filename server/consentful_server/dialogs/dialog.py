"""The rules of a dialog: which message may come next, and what a decision means.

Pure: no clock, socket, table or task. A refused event leaves no trace. A dialog belongs to one `HeldDialog` and nothing
else refers to it, so that dropping that reference drops all that was said.
"""

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeAlias

import msgspec

from consentful import wire

from ..consent.language import canonical, label
from ..consent.notices import Catalogue, Wording
from ..errors import BadRequest, Conflict, Empty, Gap, Incomplete, OutOfOrder, OverLimit

OVERHEAD_BYTES: Final = 300
"""What one held message costs in memory beside its text, measured on CPython 3.11."""
_EMPTY_BYTES: Final = sys.getsizeof("")


class Utterance(msgspec.Struct, frozen=True, gc=False):
    """One message. `language` is as it is compared; `spelt` is as the chatbot sent it, if that differs."""

    text: str
    role: wire.Role
    language: str | None
    spelt: str | None
    sent_at: datetime | None
    received_at: datetime

    def __repr__(self) -> str:  # words are contraband
        return f"Utterance(role={self.role!r}, text=<{len(self.text)} characters>)"


class Granted(msgspec.Struct, frozen=True):
    """The customer agrees to exactly this wording, for exactly these purposes."""

    wording: Wording
    purposes: tuple[str, ...]
    given_by: wire.GivenBy


class Declined(msgspec.Struct, frozen=True):
    """The customer does not agree. `retract` also stops an earlier grant whose answer was lost."""

    retract: bool


Decision: TypeAlias = Granted | Declined


class Dialog:
    """One conversation between one customer and a chatbot, until it is decided."""

    __slots__ = (
        "_canonical",
        "_forgotten",
        "_spelt",
        "any_language",
        "bot",
        "customer_id",
        "id",
        "language",
        "limits",
        "metadata",
        "opened_at",
        "size",
        "utterances",
        "wording",
    )

    def __init__(
        self,
        dialog_id: str,
        customer_id: str,
        *,
        wording: Wording,
        limits: wire.Limits,
        opened_at: datetime,
        language: str | None = None,
        bot: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.id = dialog_id
        self.customer_id = customer_id
        self.wording = wording
        self.limits = limits
        self.opened_at = opened_at
        self.any_language = False
        """Whether messages may name their language with any text; otherwise it must be a BCP 47 tag."""
        self.language = language
        self._canonical = _language("language", language)
        self._spelt = language if language != self._canonical else None
        self.bot = bot
        self.metadata = metadata
        self.utterances: list[Utterance] = []
        self.size = 0
        """Bytes of UTF-8 text that are held."""
        self._forgotten: int | None = None

    def __repr__(self) -> str:
        return f"Dialog(id={self.id!r}, messages={len(self.utterances)})"

    @classmethod
    def open(
        cls, frame: wire.Open, dialog_id: str, catalogue: Catalogue, limits: wire.Limits, opened_at: datetime
    ) -> "Dialog":
        """Return the dialog that an `open` frame begins, with the notice that its language calls for.

        Raises:
            BadRequest: If the language is not a BCP 47 tag, or the metadata exceed 4 KiB.
        """
        language = _language("language", frame.language)
        if frame.metadata and wire.metadata_bytes(frame.metadata) > wire.MAX_METADATA_BYTES:
            raise BadRequest("metadata", f"at most {wire.MAX_METADATA_BYTES} bytes of keys and values")
        return cls(
            dialog_id,
            frame.customer_id,
            wording=catalogue.for_language(language),
            limits=limits,
            opened_at=opened_at,
            language=frame.language,
            bot=frame.bot,
            metadata=frame.metadata or None,
        )

    def say(self, message: wire.Message, received_at: datetime) -> int:
        """Hold the message, unless it is held already (a replay). Return how many bytes of memory its text takes.

        Raises:
            Gap: If a message before this one is missing.
            Conflict: If its number is held with another text: an ack would say that this one is held.
            OverLimit: If it would break a limit; its number may be used again.
            OutOfOrder: If the dialog was declined.
            BadRequest: If the language is not a BCP 47 tag, or `sent_at` is not a time in UTC.
        """
        utterances = self.utterances
        held = len(utterances)
        if message.seq != held + 1 or self._forgotten is not None:
            return self._say_again(message)
        text = message.text
        # Called for every message, so what would be functions is written out here.
        size = memory = len(text)
        if not text.isascii():
            size = len(text.encode())
            memory = sys.getsizeof(text) - _EMPTY_BYTES  # one emoji makes each character take four bytes (PEP 393)
        limits = self.limits
        if size > limits.max_text_bytes or self.size + size > limits.max_dialog_bytes or held >= limits.max_messages:
            raise self._over_limit(size, message.seq)
        if message.sent_at is not None and not wire.is_storable(message.sent_at):
            raise BadRequest("sent_at", "a time in the years 2 to 9998")
        spelt, language = self._spelt, self._canonical
        if message.language is not None:
            language = label(message.language) if self.any_language else _language("language", message.language)
            spelt = message.language if message.language != language else None
        utterances.append(Utterance(text, message.role, language, spelt, message.sent_at, received_at))
        self.size += size
        return memory

    def decide(self, consent: wire.Consent, catalogue: Catalogue, shown: Wording | None = None) -> Decision:
        """Return what the customer decided. `shown` is the wording that was shown, if it is not the dialog's own.

        Raises:
            Incomplete: If the chatbot sent another number of messages than are held; a partial dialog is never stored.
            Empty: If consent is granted to a dialog without messages.
            UnknownNotice: If consent names a notice that was not on offer.
            UnknownPurpose: If consent names no purpose, or one that the notice does not.
        """
        if not consent.granted:
            return Declined(consent.retract)  # a "no" is never refused
        if consent.last_seq != len(self.utterances):
            raise Incomplete(expected=len(self.utterances))
        if not self.utterances:
            raise Empty
        wording = shown or self.wording
        if consent.notice is not None:
            wording = catalogue.find(consent.notice, wording.language)
        return Granted(wording, wording.choose(consent.purposes), consent.given_by)

    def forget(self) -> int:
        """Drop all messages and hold no other. Return how many there were, however often it is called."""
        if self._forgotten is None:
            self._forgotten = len(self.utterances)
        self.utterances = []
        self.size = 0
        return self._forgotten

    def _say_again(self, message: wire.Message) -> int:
        """Return 0 for a message that is held; raise what `say` raises for one that is not the next."""
        if self._forgotten is not None:
            raise OutOfOrder("the dialog was declined; send that `consent` again")
        held = len(self.utterances)
        if message.seq > held:
            raise Gap(expected=held + 1)
        if self.utterances[message.seq - 1].text != message.text:
            raise Conflict(message.seq)
        return 0

    def _over_limit(self, size: int, seq: int) -> OverLimit:
        limits = self.limits
        if size > limits.max_text_bytes:
            return OverLimit("max_text_bytes", limits.max_text_bytes, seq)
        if self.size + size > limits.max_dialog_bytes:
            return OverLimit("max_dialog_bytes", limits.max_dialog_bytes, seq)
        return OverLimit("max_messages", limits.max_messages, seq)


def _language(field: str, tag: str | None) -> str | None:
    if tag is None:
        return None
    language = canonical(tag)
    if language is None:
        raise BadRequest(field, "not a BCP 47 language tag, such as `en` or `pt-BR`")
    return language
