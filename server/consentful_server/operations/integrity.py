"""Integrity: every stored dialog opens, and is what was stored.

Whoever can write to the database can alter it, and no seal prevents that; it is found here. A page finds what it opens:
a seal, a record or a row that does not fit. It does not notice that the row of a message was deleted: to count the rows
of its dialogs would cost each page up to 3 % (measured). Here, each dialog is compared with its seals as a whole. No
seal has its time of storing, which is compared with the time of the decision, and its receipt, which must be signed by
this deployment and state this dialog. A dialog that was deleted as a whole is not noticed here either: the receipt that
the customer has tells (`verify`).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final, NamedTuple

from joserfc.errors import JoseError

from ..archive.store import StoredDialog, Tombstone
from ..errors import Damaged
from ..service import Service

_AT_ONCE: Final = 1_000
_TOGETHER: Final = 64
"""Dialogs that are read together, with their texts: a database on another machine takes round trips for each time."""
_MICROSECOND: Final = timedelta(microseconds=1)

_STORED_WITHIN: Final = timedelta(days=1)
"""A dialog is stored moments after the decision; a day allows for a machine that was suspended between the two."""


class Proof(NamedTuple):
    """The result of `prove`: dialogs that are what was stored, and dialogs that are not."""

    whole: int
    damaged: int


async def prove(
    service: Service,
    tell: Callable[[str], object] = lambda _: None,
    *,
    passed: Callable[[int], object] = lambda _: None,
) -> Proof:
    """Open every dialog, compare it with what was sealed, and verify its receipt.

    `tell` is called with the id of each dialog that is damaged; `passed` now and then, with how many were examined.
    """
    whole = damaged = last = 0
    every = (await service.store.epochs.all())[-1].number + 1
    while keys := await service.store.epochs.keys_before(every, last, _AT_ONCE):
        for start in range(0, len(keys), _TOGETHER):
            names = [key.dialog_id for key in keys[start : start + _TOGETHER]]
            found = await service.store.dialogs.find_all(names)
            for name in names:
                if _is_whole(service, found.get(name)):
                    whole += 1
                else:
                    damaged += 1
                    tell(name)
        last = keys[-1].dialog
        passed(whole + damaged)
    return Proof(whole, damaged)


def _is_whole(service: Service, found: StoredDialog | Tombstone | None) -> bool:
    if not isinstance(found, StoredDialog):
        return isinstance(found, Tombstone)  # erased meanwhile; without a tombstone, its seals are gone
    if abs((found.stored_at - found.record.decided_at) * _MICROSECOND) > _STORED_WITHIN:
        return False
    try:
        is_content = service.archive.content_digest(found) == found.content
    except Damaged:
        return False
    return is_content and _is_receipt(service, found)


def _is_receipt(service: Service, found: StoredDialog) -> bool:
    """Return whether the dialog's receipt is signed by this deployment, and states this dialog and its content."""
    try:
        claims = service.signer.verified(found.receipt)
    except JoseError:
        return False
    stated = (claims.get("jti"), claims.get("content_hmac_sha256"))
    return stated == (found.record.dialog_id, found.content.hex())
