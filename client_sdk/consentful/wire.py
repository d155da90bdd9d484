"""All frames of a live dialog, and their encoding.

A connection uses one of two subprotocols with the same types: `consentful.v1.json` in text frames,
`consentful.v1.msgpack` in binary frames. The server refuses unknown fields, so that nothing undeclared is ever stored
(GDPR art. 5(1)(c)). Clients ignore them, so that a newer server can talk to an older client. No `repr` shows message
text, customers or tokens.
"""

import re
from collections.abc import Callable, Mapping
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import quote

import msgspec
from msgspec import Meta

from . import language, repeated_keys, withdrawal_qr
from .schema_errors import explained

JSON: Final = "consentful.v1.json"
MSGPACK: Final = "consentful.v1.msgpack"
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
BEARER: Final = "bearer."
"""A browser cannot send an Authorization header, so it offers this prefix and its token as a subprotocol."""

Role: TypeAlias = Literal["customer", "bot", "agent"]
GivenBy: TypeAlias = Literal["self", "representative"]

# `$` alone would allow a trailing line feed; the look-ahead means the same in Python and in JSON Schema.
CustomerId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200, description="the chatbot's own name for it")]
DialogId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^(?!(\.{1,2}|live)$)[A-Za-z0-9._~:-]{1,200}$(?!\n)",
        description="unreserved in URLs; not . or .. or live, which are paths of their own",
    ),
]
Language: TypeAlias = Annotated[
    str,
    Meta(
        pattern=language.PATTERN,
        max_length=language.MAX_LENGTH,
        description="well-formed BCP 47 tag, in any case; `_` is taken as `-`",
    ),
]
Bot: TypeAlias = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,200}$(?!\n)", description="which chatbot speaks")]
Label: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,100}$(?!\n)", description="id of a notice or purpose")
]
Instant: TypeAlias = Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset")]
Seq: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1)]
MetadataKey: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]


class ClientFrame(msgspec.Struct, tag_field="type", frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A frame from the chatbot to the server."""


class Open(ClientFrame, tag="open", frozen=True):
    """The chatbot begins a dialog; must come first, within 10 s."""

    customer_id: CustomerId
    dialog_id: DialogId | None = None
    language: Language | None = None
    bot: Bot | None = None
    metadata: dict[MetadataKey, str] | None = None

    def __repr__(self) -> str:
        return f"Open(dialog_id={self.dialog_id!r}, language={self.language!r})"


class Message(ClientFrame, tag="message", frozen=True, gc=False):
    """The chatbot adds one message. It is acknowledged once the server holds it in memory."""

    seq: Seq
    text: Annotated[str, Meta(min_length=1)]
    role: Role = "customer"
    language: Language | None = None
    sent_at: Instant | None = None

    def __repr__(self) -> str:
        return f"Message(seq={self.seq}, role={self.role!r}, text=<{len(self.text)} characters>)"


class Consent(ClientFrame, tag="consent", frozen=True):
    """The customer's decision: the whole dialog is stored durably, or discarded."""

    granted: bool
    last_seq: Count
    notice: Label | None = None
    purposes: Annotated[list[Label], Meta(max_length=100)] | None = None
    given_by: GivenBy = "self"
    retract: bool = False


class ServerFrame(msgspec.Struct, tag_field="type", frozen=True, omit_defaults=True):
    """A frame from the server to the chatbot."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The information of GDPR art. 13 in machine-readable form; the notice's text tells it to the customer.

    `jurisdiction` is a country (ISO 3166-1). `special_categories` tells whether the notice asks explicitly for data
    such as health or belief (art. 9).
    """

    controller: str
    contact: str
    legal_basis: str
    recipients: tuple[str, ...]
    transfers: tuple[str, ...]
    retention_days: int
    rights: tuple[str, ...]
    complaint: str
    withdraw: str
    jurisdiction: str | None
    special_categories: bool


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """The exact text to show when asking for consent (GDPR art. 13).

    `sha256` is the hex digest of the UTF-8 `text`; `purposes` are what the customer may agree to. Older servers send no
    `terms`. `purpose_names` is there if the notice names its purposes: by their ids, in the language of the text.
    """

    id: Label
    language: Language
    text: str
    sha256: str
    purposes: list[Label]
    terms: Terms | None = None
    purpose_names: dict[Label, str] | None = None


class Limits(msgspec.Struct, frozen=True):
    """The limits of one dialog; sizes in bytes of UTF-8, times in seconds."""

    max_frame_bytes: int = 256 * 1024
    max_text_bytes: int = 32 * 1024
    max_dialog_bytes: int = 1024 * 1024
    max_messages: int = 10_000
    idle_timeout_s: float = 900
    max_duration_s: float = 86_400


class Opened(ServerFrame, tag="opened", frozen=True):
    """The dialog is open. It carries the notice before the first message."""

    dialog_id: DialogId
    notice: Notice
    limits: Limits


class Ack(ServerFrame, tag="ack", frozen=True, gc=False):
    """The server holds every message up to `seq` in memory. They are not stored yet."""

    seq: Count


def withdrawal_link(base: str, code: str, language: str | None = None) -> str:
    """Return a link to the withdrawal page of the service at `base` that carries the code in its fragment."""
    query = f"?lang={quote(language, safe='')}" if language else ""
    page = re.sub("^ws", "http", base.rstrip("/")) + "/withdraw"
    return f"{page}{query}#{code}"


class Stored(ServerFrame, tag="stored", frozen=True):
    """The dialog is stored durably. `receipt` is a compact JWS (RFC 7515); `withdrawal_code` withdraws the consent."""

    dialog_id: DialogId
    messages: Count
    stored_at: Instant
    receipt: str
    withdrawal_code: str

    def withdrawal_link(self, base: str, language: str | None = None) -> str:
        """Return a link to the withdrawal page of the service at `base` that carries the code, for the customer alone.

        The code is in the fragment, which no browser sends to a server and no server logs. `language`: the page's,
        such as the notice's; else the page follows the customer's browser.
        """
        return withdrawal_link(base, self.withdrawal_code, language)

    def withdrawal_qr_svg(self, base: str, language: str | None = None) -> str:
        """Return the `withdrawal_link` as a QR code: an SVG document, to show or print; for the customer alone.

        Raises:
            ImportError: If segno is not installed (extra `qr`).
        """
        return withdrawal_qr.svg(self.withdrawal_link(base, language))

    def withdrawal_qr_png(self, base: str, language: str | None = None) -> bytes:
        """Return the `withdrawal_link` as a QR code: a PNG file, for mails, whose programs show no SVG.

        Raises:
            ImportError: If segno is not installed (extra `qr`).
        """
        return withdrawal_qr.png(self.withdrawal_link(base, language))

    def __repr__(self) -> str:
        return f"Stored(dialog_id={self.dialog_id!r}, messages={self.messages})"


class Discarded(ServerFrame, tag="discarded", frozen=True):
    """Nothing of the dialog is stored."""

    dialog_id: DialogId
    messages: Count


class Closing(ServerFrame, tag="closing", frozen=True):
    """The server will close this connection in `in_s` seconds, for this reason."""

    reason: Literal["idle", "duration", "draining"]
    in_s: float


class Error(ServerFrame, tag="error", frozen=True):
    """A frame was refused. `code` is stable; `detail` says what to do next and never contains message text."""

    code: str
    detail: str
    seq: int | None = None
    expected: int | None = None
    retry: bool | None = None
    retry_after_s: float | None = None


FromClient: TypeAlias = Open | Message | Consent
FromServer: TypeAlias = Opened | Ack | Stored | Discarded | Closing | Error


MAX_METADATA_BYTES: Final = 4096


def metadata_bytes(metadata: Mapping[str, str]) -> int:
    """Return how many bytes of UTF-8 the keys and values have, of at most `MAX_METADATA_BYTES`."""
    return sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items())


def is_storable(moment: datetime) -> bool:
    """Return whether the time exists in every time zone; the first and the last year of `datetime` do not."""
    return MINYEAR < moment.year < MAXYEAR


class BadFrame(ValueError):  # noqa: N818 - named for what it is
    """Bytes that are not a valid frame. Says where and what was expected, never what was found."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Codec:
    """Encodes and decodes frames for one subprotocol. `repeats` tells whether a client's frame repeats a field."""

    def __init__(
        self,
        encoder: type[Any],
        decoder: type[Any],
        repeats: Callable[[bytes, "FromClient"], bool],
        *,
        binary: bool,
    ) -> None:
        self.binary = binary
        self._repeats = repeats
        self.encode = encoder().encode
        self._decode_client = decoder(FromClient).decode
        self._decode_server = decoder(FromServer).decode
        self._decode_tag = decoder(_Tagged).decode

    def decode_client(self, data: bytes | str) -> FromClient:
        """Return the client's frame. A byte order mark before JSON is ignored (RFC 8259 §8.1).

        Raises:
            BadFrame: If the bytes are malformed, break the schema, or have an unknown or a repeated field.
        """
        try:
            raw = data.encode() if isinstance(data, str) else data
            try:
                frame = self._decode_client(raw)
            except msgspec.DecodeError:  # looked for only now: no JSON begins with the mark, and few clients send it
                if self.binary or not raw.startswith(BYTE_ORDER_MARK):
                    raise
                raw = raw[len(BYTE_ORDER_MARK) :]
                frame = self._decode_client(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _explain(error) from None  # the cause may quote a value
        if self._repeats(raw, frame):
            raise BadFrame("$", "repeated field; send each field once")
        return frame

    def decode_server(self, data: bytes | str) -> FromServer | None:
        """Return the server's frame; None if its type is unknown to this version.

        Raises:
            BadFrame: If the bytes are malformed or break the schema.
        """
        try:
            return self._decode_server(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            if self._is_of_unknown_kind(data):
                return None
            raise _explain(error) from None

    def _is_of_unknown_kind(self, data: bytes | str) -> bool:
        try:
            return self._decode_tag(data).type not in _SERVER_TAGS
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False


class _Tagged(msgspec.Struct, frozen=True):
    type: str


_SERVER_TAGS: Final = frozenset(("opened", "ack", "stored", "discarded", "closing", "error"))
_FIELDS: Final = frozenset(
    field for frame in (Open, Message, Consent, Opened, Notice, Limits, Ack, Stored, Discarded, Closing, Error)
    for field in frame.__struct_fields__
) | {"type"}  # fmt: skip
_PATH: Final = re.compile(r" - at `(?P<key>key` in `)?\$(?P<path>[^`]*)`$")
_LAST_FIELD: Final = re.compile(r".*\.(\w+)")
_STEP: Final = re.compile(r"\.(?P<field>\w+)|\[\d+\]|\[\.\.\.\]")


def _explain(error: Exception) -> BadFrame:
    """Return the decoder's error reduced to declared names: paths and types, no value and no undeclared field name."""
    complaint = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return BadFrame("$", "not a well-formed document in this subprotocol's encoding")
    if complaint.startswith("Object contains unknown field"):
        return BadFrame("$", "unknown field; send only the documented ones")
    at = _PATH.search(complaint)
    path = "$" + at["path"] if at and _is_ours(at["path"]) else "$"
    if complaint.startswith("Invalid value"):
        return BadFrame(path, "unknown frame type; send open, message or consent")
    field = _LAST_FIELD.search(path)
    return BadFrame(path, explained(error, field[1] if field else "") or "breaks the schema")


def _is_ours(path: str) -> bool:
    """Return whether the path consists of declared fields and array positions only."""
    steps = list(_STEP.finditer(path))
    return sum(len(step[0]) for step in steps) == len(path) and all(
        step["field"] is None or step["field"] in _FIELDS for step in steps
    )


def _repeats_json(data: bytes, frame: FromClient) -> bool:
    """Return whether a field stands twice. Usually that is told without a second parse, which takes ten times as long
    as the first.
    """
    if isinstance(frame, Message):
        # Called for every message, and nearly every one is told here: no text is longer than its UTF-8.
        if len(data) - len(frame.text) < _AROUND_TEXT + _REPEATED:
            return False
        may_repeat = _is_longer(data, frame)
    else:
        may_repeat = _has_more_strings(data, frame)
    return may_repeat and repeated_keys.in_json(data)


def _is_longer(data: bytes, message: Message) -> bool:
    """Return whether the document has room for a field that stands twice.

    What stands twice can be taken out, and what is left still has the same values: then it is at least `_REPEATED`
    bytes longer than the shortest document with these values.
    """
    text, role, at = message.text, message.role, message.sent_at
    size = len(text) if text.isascii() else len(text.encode())
    shortest = _AROUND_TEXT + size
    if role != "customer":
        shortest += _AROUND_ROLE + len(role)
    if message.language is not None:
        shortest += _AROUND_LANGUAGE + len(message.language)
    if at is not None:
        shortest += _SENT_AT + (0 if not at.microsecond else 7 if at.microsecond % 10 else 2)
    if len(data) < shortest + _REPEATED:
        return False
    # It has line breaks or quotation marks, or names the default role.
    shortest += len(_encode_text(text)) - size - 2
    if role == "customer" and b'"role":' in data:
        shortest += _AROUND_ROLE + len(role)
    return len(data) >= shortest + _REPEATED


def _has_more_strings(data: bytes, frame: Open | Consent) -> bool:
    """Return whether the document has more strings than it needs: a field that stands twice has its name twice.

    Where nothing is escaped, each string has two quotation marks, and there are no others.
    """
    return b"\\" in data or data.count(b'"') > 2 * _least_strings(frame)


def _least_strings(frame: Open | Consent) -> int:
    """Return how many strings the shortest document with these values has: names of fields, and values."""
    if isinstance(frame, Open):
        given = (frame.dialog_id is not None) + (frame.language is not None) + (frame.bot is not None)
        return 4 + 2 * given + (1 + 2 * len(frame.metadata) if frame.metadata else 0)
    named = (frame.notice is not None) + (frame.given_by != "self")
    purposes = 0 if frame.purposes is None else 1 + len(frame.purposes)
    return 4 + 2 * named + purposes + frame.retract


def _repeats_msgpack(data: bytes, frame: FromClient) -> bool:
    """Return whether a field stands twice. Messages are usually told by the number of fields in their header."""
    if isinstance(frame, Message):
        fields = 3 + (frame.role != "customer") + (frame.language is not None) + (frame.sent_at is not None)
        if data[0] == 0x80 + fields:
            return False
    return repeated_keys.in_msgpack(data)


_AROUND_TEXT: Final = len('{"type":"message","seq":1,"text":""}')
_AROUND_ROLE: Final = len(',"role":""')
_AROUND_LANGUAGE: Final = len(',"language":""')
_SENT_AT: Final = len(',"sent_at":"2026-01-31T12:00:00Z"')
_REPEATED: Final = len(',"seq":1')
"""The least that a second field adds."""

_encode_text: Final = msgspec.json.Encoder().encode

CODECS: Final = {
    JSON: Codec(msgspec.json.Encoder, msgspec.json.Decoder, _repeats_json, binary=False),
    MSGPACK: Codec(msgspec.msgpack.Encoder, msgspec.msgpack.Decoder, _repeats_msgpack, binary=True),
}
