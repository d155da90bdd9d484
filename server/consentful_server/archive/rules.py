"""The rules for storing, erasing and retracting a dialog. Pure: a store loads the dialog, asks a rule, applies its
plan.

    keep      nothing stored                      Insert
              the same dialog                     Keep it, or Narrow its purposes
              another dialog                      Conflict, raised by the candidate
              a tombstone                         Erased
              retracted by the same customer      Erased
              of the same credential
    repeat    the same purposes                   the stored record
              fewer purposes                      the stored record with fewer purposes
              any other purpose                   Conflict
              other content, customer, credential Conflict
    narrow    fewer purposes                      the stored record with fewer purposes
              anything else                       nothing
    withdraw  some of the purposes                narrow to the others
              all of them                         erase
    erase     stored, and the caller's            Shred
              a tombstone, and the caller's       Done: the earlier outcome
              anything else                       nothing
    retract   stored, or a tombstone              as erase
              nothing stored                      Block: a grant that is still in progress fails

A retraction blocks no one else: chatbots choose their ids, so one could otherwise block the ids of another.

A store calls a rule and applies its plan in one transaction that nobody else can write in, so what was loaded is still
true. The tests use the same tables (`tests/server/archive/test_rules.py`).
"""

import hashlib
from collections.abc import Collection
from typing import TypeAlias

import msgspec

from ..auth.read_scope import EVERYTHING, ReadScope
from ..consent.record import Record
from ..errors import Conflict, Erased
from .store import Candidate, Reason, Retraction, StoredDialog, Tombstone


class Insert(msgspec.Struct, frozen=True):
    """Store the candidate with this wrapped key at this time (microseconds since the epoch)."""

    wrapped: bytes
    stored_at: int


class Keep(msgspec.Struct, frozen=True):
    """Change nothing: the dialog is stored already."""

    dialog: StoredDialog


class Narrow(msgspec.Struct, frozen=True):
    """Replace the stored dialog by the same one under a narrower consent."""

    dialog: StoredDialog


class Shred(msgspec.Struct, frozen=True):
    """Overwrite the key with this number, delete the rows, erase the customer's filter values, insert the tombstone."""

    number: int
    customer: str
    tombstone: Tombstone


class Done(msgspec.Struct, frozen=True):
    """Change nothing: the dialog was erased before."""

    tombstone: Tombstone


class Block(msgspec.Struct, frozen=True):
    """Record the retraction of a dialog that was never stored, unless it is recorded already."""

    retraction: Retraction


KeepPlan: TypeAlias = Insert | Keep | Narrow
ErasePlan: TypeAlias = Shred | Done | None


def on_keep(
    found: StoredDialog | None,
    tombstone: Tombstone | None,
    retraction: Retraction | None,
    candidate: Candidate,
    epoch: int,
    now: int,
) -> KeepPlan:
    """Return the plan for a granted dialog. `epoch` is the master keys' current one, `now` in microseconds.

    `retraction` is the one with the candidate's own mark.

    Raises:
        Conflict: If its id belongs to another dialog, customer or credential.
        Erased: If its id was erased or retracted.
    """
    if found is not None:
        kept = candidate.reconcile(found)
        return Keep(found) if kept is found else Narrow(kept)  # the same object: nothing changed
    if tombstone is not None:
        raise Erased(tombstone.dialog_id, tombstone.moment)  # a late replay must not bring it back (GDPR art. 17)
    if retraction is not None:
        raise Erased(retraction.dialog_id, retraction.moment)
    return Insert(candidate.wrapped_since(epoch), now)


def on_repeat(mine: Record, stored: Record, *, is_same: bool) -> Record | None:
    """Return the record to store when a stored dialog is granted again; None to keep the stored one.

    `is_same` tells whether the content is equal. A narrower consent keeps the times of the first one: a replay must not
    prolong what it restricts.

    Raises:
        Conflict: If it is another dialog, customer or credential, or would widen the consent.
    """
    if not is_same or (mine.customer, mine.owner) != (stored.customer, stored.owner):
        raise Conflict
    if set(mine.purposes) == set(stored.purposes):
        return None
    narrower = on_narrow(mine.purposes, stored)
    if narrower is None:
        raise Conflict
    return narrower


def on_narrow(purposes: tuple[str, ...], stored: Record) -> Record | None:
    """Return the record to store when a consent is narrowed to these purposes; None if that is not narrower."""
    return msgspec.structs.replace(stored, purposes=purposes) if set(purposes) < set(stored.purposes) else None


def left_of(stored: Record, withdrawn: Collection[str]) -> tuple[str, ...]:
    """Return the purposes that are left of a consent after a withdrawal for these; none if the dialog is to be erased.

    A purpose that was not consented to, or was withdrawn before, changes nothing.
    """
    return tuple(purpose for purpose in stored.purposes if purpose not in withdrawn)


def on_erase(
    found: StoredDialog | None,
    tombstone: Tombstone | None,
    *,
    reason: Reason,
    owner: str | None,
    customer: str | None,
    now: int,
    scope: ReadScope = EVERYTHING,
) -> ErasePlan:
    """Return the plan for a caller who may erase dialogs of this owner and customer (None: any) within this scope."""
    if found is not None:
        is_theirs = owner in (None, found.record.owner) and customer in (None, found.record.customer)
        # None for a foreign dialog, as if it did not exist: the caller must not learn that it does.
        if not is_theirs or not scope.covers(found.record.purposes):
            return None
        return Shred(found.number, found.record.customer, tombstone_of(found, reason, now))
    # A tombstone names no customer, so only the owner and the purposes can be compared.
    if tombstone is not None and owner in (None, tombstone.owner) and scope.covers(tombstone.purposes):
        return Done(tombstone)
    return None


def on_retract(
    found: StoredDialog | None,
    tombstone: Tombstone | None,
    *,
    dialog_id: str,
    owner: str,
    customer: str,
    mark: bytes,
    now: int,
) -> ErasePlan | Block:
    """Return the plan that prevents storing the dialog, now and later. A foreign dialog stays."""
    if found is None and tombstone is None:
        return Block(Retraction(dialog_id=dialog_id, owner=owner, mark=mark, retracted_at=now))
    return on_erase(found, tombstone, reason="retracted", owner=owner, customer=customer, now=now)


def tombstone_of(dialog: StoredDialog, reason: Reason, now: int) -> Tombstone:
    """Return the tombstone of a dialog that is erased now (GDPR art. 7(1), 17(3)(e))."""
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
        # The receipt itself names the pseudonym; its hash still proves that a given receipt belongs here.
        receipt_sha256=hashlib.sha256(dialog.receipt.encode()).digest(),
        withdrawal_hash=dialog.withdrawal_hash,
    )
