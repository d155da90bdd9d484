"""What happens to a dialog that is to be stored, erased or retracted. Pure: a store loads, asks, and applies the plan.

    keep      nothing there           insert it
              the same dialog         keep what is there, or narrow its purposes
              another dialog          Conflict, by the candidate
              a tombstone             Erased
    erase     stored, and the caller's    shred it
              a tombstone, the caller's   the earlier outcome
              anything else               nothing
    repeat    the same purposes       keep the record
              fewer purposes          narrow it, and otherwise keep it as it was given
              any other purpose       Conflict
              another content, customer or credential   Conflict
    retract   stored, or a tombstone      as erase
              nothing there               a tombstone, so that a grant that is still under way fails

The tables above are the tests' tables (`tests/server/archive/test_rules.py`).
"""

import hashlib
from typing import TypeAlias

import msgspec

from ..consent.record import Record
from ..errors import Conflict, Erased
from .store import Candidate, Reason, StoredDialog, Tombstone


class Insert(msgspec.Struct, frozen=True):
    """Store the candidate: its key wrapped like this, at this time (microseconds since the epoch)."""

    wrapped: bytes
    stored_at: int


class Keep(msgspec.Struct, frozen=True):
    """Change nothing: this is the dialog, stored before."""

    dialog: StoredDialog


class Narrow(msgspec.Struct, frozen=True):
    """Put the same dialog, under a narrower consent, in the place of the one that is stored."""

    dialog: StoredDialog


class Shred(msgspec.Struct, frozen=True):
    """Overwrite the key of this number, remove the rows, forget the customer's filters, and leave the tombstone."""

    number: int
    customer: str
    tombstone: Tombstone


class Done(msgspec.Struct, frozen=True):
    """Change nothing: it was erased before."""

    tombstone: Tombstone


class Block(msgspec.Struct, frozen=True):
    """Leave the tombstone of a dialog that was never stored."""

    tombstone: Tombstone


KeepPlan: TypeAlias = Insert | Keep | Narrow
ErasePlan: TypeAlias = Shred | Done | None


def on_keep(
    found: StoredDialog | None, tombstone: Tombstone | None, candidate: Candidate, epoch: int, now: int
) -> KeepPlan:
    """Return what to do with a granted dialog; `epoch` is that of the master keys, `now` is in microseconds.

    Raises:
        Conflict: If its id holds another dialog, or another customer's.
        Erased: If its id was erased or retracted.
    """
    if found is not None:
        kept = candidate.reconcile(found)
        return Keep(found) if kept is found else Narrow(kept)
    if tombstone is not None:
        raise Erased(tombstone.dialog_id, tombstone.moment)
    return Insert(candidate.wrapped_since(epoch), now)


def on_repeat(mine: Record, stored: Record, *, is_same: bool) -> Record | None:
    """Return the record to keep when a stored dialog is granted again; None if it is the one that is there.

    `is_same` tells whether the content is. A narrower consent restricts the one that was given: its times stay, because
    a replay must not prolong what it restricts.

    Raises:
        Conflict: If it is another dialog, another customer's or another credential's, or would widen the consent.
    """
    if not is_same or (mine.customer, mine.owner) != (stored.customer, stored.owner):
        raise Conflict
    if set(mine.purposes) == set(stored.purposes):
        return None
    if not set(mine.purposes) < set(stored.purposes):
        raise Conflict
    return msgspec.structs.replace(stored, purposes=mine.purposes)


def on_erase(
    found: StoredDialog | None,
    tombstone: Tombstone | None,
    *,
    reason: Reason,
    owner: str | None,
    customer: str | None,
    now: int,
) -> ErasePlan:
    """Return what to do for a caller who may erase dialogs of this owner and customer; None means of anyone."""
    if found is not None:
        is_theirs = owner in (None, found.record.owner) and customer in (None, found.record.customer)
        return Shred(found.number, found.record.customer, tombstone_of(found, reason, now)) if is_theirs else None
    if tombstone is not None and owner in (None, tombstone.owner):
        return Done(tombstone)
    return None


def on_retract(
    found: StoredDialog | None, tombstone: Tombstone | None, *, dialog_id: str, owner: str, customer: str, now: int
) -> ErasePlan | Block:
    """Return what to do so that the dialog is not stored, now or later; another owner's or customer's is left alone."""
    if found is None and tombstone is None:
        return Block(Tombstone(dialog_id=dialog_id, owner=owner, reason="retracted", erased_at=now))
    return on_erase(found, tombstone, reason="retracted", owner=owner, customer=customer, now=now)


def tombstone_of(dialog: StoredDialog, reason: Reason, now: int) -> Tombstone:
    """Return what is left of a dialog that is erased now."""
    return Tombstone(
        dialog_id=dialog.record.dialog_id,
        owner=dialog.record.owner,
        reason=reason,
        erased_at=now,
        messages=dialog.messages,
        decided_at=dialog.record.decided_at,
        stored_at=dialog.stored_at,
        notice_sha256=dialog.record.notice_sha256,
        purposes=dialog.record.purposes,
        number=dialog.number,
        receipt_sha256=hashlib.sha256(dialog.receipt.encode()).digest(),
        withdrawal_hash=dialog.withdrawal_hash,
    )
