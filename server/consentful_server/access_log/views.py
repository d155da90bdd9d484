"""What readers of the access log get."""

from datetime import datetime
from typing import Any

import msgspec


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the access log: who did what, when.

    `filters` are what was asked for; `values`, what they looked for, is null once it was erased with the customer whom
    it named. `dialogs` tells how many dialogs it was about; `link` chains it to the entry before.
    """

    number: int
    at: datetime
    who: str
    kind: str
    action: str
    request: str | None
    subject: str | None
    filters: tuple[str, ...]
    values: dict[str, Any] | None
    rows: int
    dialogs: int
    link: str

    def __repr__(self) -> str:
        return f"LogEntry({self.number}, {self.action!r})"


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that saw something of a customer (GDPR art. 15(1)(c)): first, last, of how many dialogs."""

    who: str
    first_at: datetime
    last_at: datetime
    dialogs: int


class SeenDialog(msgspec.Struct, frozen=True, kw_only=True):
    """A dialog that was seen. Of an erased one nobody knows any more whose it was."""

    dialog_id: str
    customer: str | None
    erased_at: datetime | None
