"""What recipients of exports get: what was sent to them, and what they must delete since."""

from datetime import datetime
from typing import Any

import msgspec


class ShownExport(msgspec.Struct, frozen=True, kw_only=True):
    """One export. `bytes` and `sha256` are of the file, before any content coding.

    It is not `complete` while it runs, and if it was cut short. It is `stale` once a dialog in it was erased. `filter`
    is null once it was erased with the customer whom it named. `damaged` dialogs belonged in it and did not open.
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


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """One dialog that was erased: delete your copies.

    `exports` are those of yours that held it; `read` tells whether one of your pages did.
    """

    dialog_id: str
    erased_at: datetime
    exports: list[str]
    read: bool
