"""Exports and erasures as their recipients see them."""

from datetime import datetime
from typing import Any

import msgspec


class ShownExport(msgspec.Struct, frozen=True, kw_only=True):
    """One export. `bytes` and `sha256` are of the file before any content coding.

    It is not `complete` while it runs, or if it was cut short. It is `stale` once a dialog in it was erased. `filter`
    is null once what was searched for is forgotten. `damaged` dialogs match and could not be opened.
    """

    id: str
    who: str
    filter: dict[str, Any] | None
    began_at: datetime
    ended_at: datetime | None
    complete: bool
    shape: str | None
    media: str | None
    rows: int | None
    bytes: int | None
    sha256: str | None
    damaged: int | None
    stale: bool
    erased: list[str]


class StaleExport(msgspec.Struct, frozen=True, kw_only=True):
    """An export that holds dialogs which were erased since. `unconfirmed` of them the recipient has not read of."""

    id: str
    dialogs: int
    erased: int
    unconfirmed: int


class ToldRecipient(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that was shown dialogs, and how far it has followed the feed of erasures (GDPR art. 19).

    `dialogs` counts what it was ever shown, `erased` those erased since, and `unconfirmed` those whose erasure
    it has not read in the feed; `unconfirmed_since` is when the oldest of these was erased. `exports` lists its
    latest exports that hold erased dialogs, at most 100.
    """

    who: str
    dialogs: int
    erased: int
    unconfirmed: int
    unconfirmed_since: datetime | None
    exports: list[StaleExport]


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """One erased dialog: delete your copies.

    `exports` are your exports that held it; `read` tells whether one of your pages did.
    """

    dialog_id: str
    erased_at: datetime
    exports: list[str]
    read: bool
