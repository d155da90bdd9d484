"""What chatbots of the original contract say and are told: pushed messages, and the decision about them. Pure."""

from datetime import datetime
from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from consentful import wire


class Said(msgspec.Struct, frozen=True):
    """One pushed message. `bot` names the chatbot of the whole dialog."""

    text: str
    language: str | None = None
    role: wire.Role = "customer"
    sent_at: datetime | None = None
    bot: str | None = None

    def __repr__(self) -> str:  # words are contraband
        return f"Said(role={self.role!r}, text=<{len(self.text)} characters>)"


Messages: TypeAlias = Annotated[
    int,
    Meta(
        ge=0, le=2**31 - 1, description="how many messages the dialog has; consent is refused if another number is held"
    ),
]
Purposes: TypeAlias = Annotated[
    list[wire.Label], Meta(max_length=100, description="the purposes that the customer agreed to; all if absent")
]
AnyLanguage: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=35, description="any name of a language, such as a BCP 47 tag")
]


class Details(msgspec.Struct, frozen=True):
    """What a chatbot may state with the decision: how many messages there are, and which notice was shown."""

    messages: Messages | None = None
    purposes: Purposes | None = None
    notice: wire.Label | None = None
    language: AnyLanguage | None = None
    """In which the notice was shown; if absent, the language of the first message."""


class Decided(msgspec.Struct, frozen=True, rename="camel"):
    """What was decided, and about how many messages. After a grant it carries what proves and withdraws the consent.

    `receipt` is a compact JWS (RFC 7515). `withdrawal_code` erases the dialog, on the page at `withdraw_url`;
    `withdraw_link` leads there with the code, in the fragment, for the customer alone.
    """

    dialog_id: str
    consent: bool
    messages: int
    receipt: str | UnsetType = UNSET
    withdrawal_code: str | UnsetType = UNSET
    withdraw_url: str | UnsetType = UNSET
    withdraw_link: str | UnsetType = UNSET

    def __repr__(self) -> str:  # the code is the key to the dialog
        return f"Decided(dialog_id={self.dialog_id!r}, consent={self.consent}, messages={self.messages})"


def granted(stored: wire.Stored) -> Decided:
    """Return what the chatbot is told about a stored dialog."""
    return Decided(stored.dialog_id, True, stored.messages, stored.receipt, stored.withdrawal_code)
