"""Integrity: every stored dialog opens, and is what was stored.

Whoever can write to the database can alter it, and no seal prevents that; it is found here. A page finds what it opens:
a seal, a record or a row that does not fit. It does not notice that the row of a message was deleted: to count the rows
of its dialogs would cost each page up to 3 % (measured). Here, each dialog is compared with its seals as a whole, and
its time of storing, which no seal has, with the time of the decision. A dialog that was deleted as a whole is not
noticed here either: its receipt tells (`verify`).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final, NamedTuple

from ..archive.store import StoredDialog, Tombstone
from ..errors import Damaged
from ..service import Service

_AT_ONCE: Final = 1_000
_MICROSECOND: Final = timedelta(microseconds=1)

_STORED_WITHIN: Final = timedelta(days=1)
"""A dialog is stored moments after the decision; a day allows for a machine that was suspended between the two."""


class Proof(NamedTuple):
    """The result of `prove`: dialogs that are what was stored, and dialogs that are not."""

    whole: int
    damaged: int


async def prove(service: Service, tell: Callable[[str], object] = lambda _: None) -> Proof:
    """Open every dialog, and compare it with what was sealed. `tell` is called with the id of each that is damaged."""
    whole = damaged = passed = 0
    every = (await service.store.epochs.all())[-1].number + 1
    while keys := await service.store.epochs.keys_before(every, passed, _AT_ONCE):
        for key in keys:
            if await _is_whole(service, key.dialog_id):
                whole += 1
            else:
                damaged += 1
                tell(key.dialog_id)
        passed = keys[-1].dialog
    return Proof(whole, damaged)


async def _is_whole(service: Service, dialog_id: str) -> bool:
    found = await service.archive.find(dialog_id)
    if not isinstance(found, StoredDialog):
        return isinstance(found, Tombstone)  # erased meanwhile; without a tombstone, its seals are gone
    if abs((found.stored_at - found.record.decided_at) * _MICROSECOND) > _STORED_WITHIN:
        return False
    try:
        return service.archive.content_digest(found) == found.content
    except Damaged:
        return False
