"""Rows of stored data, as the service sends them."""

from datetime import datetime

import msgspec

from . import wire


class KeptMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message. Times are UTC; `customer` is a pseudonym; `customer_id` is only there with scope `data:identify`.

    `metadata` are those of its dialog, and None unless `include` names them.
    """

    dialog_id: str
    seq: int
    customer: str
    customer_id: str | None = None
    role: wire.Role
    text: str
    language: str | None
    bot: str | None
    sent_at: datetime | None
    received_at: datetime
    stored_at: datetime
    metadata: dict[str, str] | None = None

    def __repr__(self) -> str:  # no message text in logs
        return f"KeptMessage({self.dialog_id!r}, seq={self.seq})"


class KeptNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The notice that the customer agreed to; the hash identifies its text."""

    id: str
    language: str
    sha256: str


class KeptDialog(msgspec.Struct, frozen=True, kw_only=True):
    """One dialog without its messages; `messages` is their number, `purposes` what the customer agreed to.

    `first_text`, `metadata` and `annotations` are None unless `include` names them; the first is the beginning of the
    first message, at most 200 characters.
    """

    dialog_id: str
    customer: str
    customer_id: str | None = None
    language: str | None
    bot: str | None
    messages: int
    opened_at: datetime
    received_at: datetime
    stored_at: datetime
    expires_at: datetime
    notice: KeptNotice
    purposes: list[str]
    given_by: str
    first_text: str | None = None
    metadata: dict[str, str] | None = None
    annotations: list["KeptAnnotation"] | None = None

    def __repr__(self) -> str:
        return f"KeptDialog({self.dialog_id!r}, messages={self.messages})"


class KeptAnnotation(msgspec.Struct, frozen=True, kw_only=True):
    """One annotation. `seq` is None if it is on the dialog as a whole; `annotator` is the credential that wrote it.

    Pass its `etag` to `Reader.annotate` as `if_match`, to change only what you have seen.
    """

    dialog_id: str
    seq: int | None
    annotator: str
    labels: list[str]
    note: str | None
    review: str | None
    written_at: datetime
    etag: str

    def __repr__(self) -> str:
        return f"KeptAnnotation({self.dialog_id!r}, seq={self.seq})"


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """One erased dialog: delete your copies of it."""

    dialog_id: str
    erased_at: datetime
