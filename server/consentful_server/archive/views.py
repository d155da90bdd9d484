"""Stored data as readers see it: messages, dialogs, chats, and pages of them."""

from datetime import datetime
from typing import Final, Generic, Literal, TypeAlias, TypeVar

import msgspec

from consentful import wire

from ..annotations.remark import KeptAnnotation

T = TypeVar("T")


class KeptMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message of a consented dialog. Times are UTC; `customer_id` is only there with scope `data:identify`, and
    `metadata`, which is the dialog's, if `include` names it.
    """

    dialog_id: str
    seq: int
    customer: str
    customer_id: str | msgspec.UnsetType = msgspec.UNSET
    role: wire.Role
    text: str
    language: str | None
    bot: str | None
    sent_at: datetime | None
    received_at: datetime
    stored_at: datetime
    metadata: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET

    def __repr__(self) -> str:
        return f"KeptMessage({self.dialog_id!r}, seq={self.seq})"


class ShownNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The wording that the customer agreed to; the hash identifies it."""

    id: str
    language: str
    sha256: str


Extra: TypeAlias = Literal["first_text", "metadata", "annotations"]
"""What a list shows if it is asked to; each has to be opened. Of messages it is the metadata of their dialogs."""

FIRST_TEXT_LENGTH: Final = 200
"""Characters of a dialog's first message that a list shows."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One consented dialog without its messages. `received_at` is the time of receipt of its last message.

    `first_text` (the beginning of its first message, at most 200 characters), `metadata` and `annotations` are there if
    `include` names them.
    """

    dialog_id: str
    customer: str
    customer_id: str | msgspec.UnsetType = msgspec.UNSET
    language: str | None
    bot: str | None
    messages: int
    opened_at: datetime
    received_at: datetime
    stored_at: datetime
    expires_at: datetime
    notice: ShownNotice
    purposes: tuple[str, ...]
    given_by: str
    first_text: str | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET
    annotations: list[KeptAnnotation] | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return f"Summary({self.dialog_id!r}, messages={self.messages})"


class KeptDialog(msgspec.Struct, frozen=True, kw_only=True):
    """One consented dialog, complete. `annotations` are there in answers to privacy requests alone."""

    dialog_id: str
    customer: str
    customer_id: str | msgspec.UnsetType = msgspec.UNSET
    language: str | None
    bot: str | None
    metadata: dict[str, str] | None
    opened_at: datetime
    received_at: datetime
    stored_at: datetime
    expires_at: datetime
    notice: ShownNotice
    purposes: tuple[str, ...]
    given_by: str
    receipt: str
    messages: list[KeptMessage]
    annotations: list[KeptAnnotation] | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return f"KeptDialog({self.dialog_id!r}, messages={len(self.messages)})"


Roles: TypeAlias = Literal["user/assistant", "customer/bot"]
"""The names of roles in the chat shape: those of chat templates, or those that were stored."""

CHAT_ROLES: Final[dict[str, str]] = {"customer": "user", "bot": "assistant", "agent": "assistant"}
"""Chat templates know `user` and `assistant`; they raise on other roles, or leave their messages out."""


class ChatLine(msgspec.Struct, frozen=True, gc=False):
    """One message with the field names that language models are trained with."""

    role: str
    content: str

    def __repr__(self) -> str:
        return f"ChatLine({self.role!r})"


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """One consented dialog as a row, as `datasets` and TRL read it."""

    dialog_id: str
    customer: str
    customer_id: str | msgspec.UnsetType = msgspec.UNSET
    language: str | None
    bot: str | None
    stored_at: datetime
    messages: list[ChatLine]

    def __repr__(self) -> str:
        return f"Chat({self.dialog_id!r}, messages={len(self.messages)})"


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. `next` is the cursor of the next page; in commit order there always is one.

    `damaged` are the ids of dialogs that belong on the page and could not be opened.
    """

    items: list[T]
    next: str | None
    more: bool
    damaged: tuple[str, ...] = ()
