"""The access log as its readers see it."""

from datetime import datetime
from typing import Any

import msgspec


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the access log: who did what, and when.

    `filters` are the names of the filters; `values` maps them to their values. It is null once these were erased, with
    the customer whom they named or a dialog that they found, and once their epoch has ended. `dialogs` counts the
    dialogs concerned; `link` chains the entry to the one before.
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
    """A credential that was shown data of a customer (GDPR art. 15(1)(c)): first and last time, and of how many
    dialogs.
    """

    who: str
    first_at: datetime
    last_at: datetime
    dialogs: int


class SeenDialog(msgspec.Struct, frozen=True, kw_only=True):
    """A disclosed dialog. Once it is erased, `customer` is null: nothing stored tells whose it was."""

    dialog_id: str
    customer: str | None
    erased_at: datetime | None
