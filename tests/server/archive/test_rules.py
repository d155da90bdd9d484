"""What happens to a dialog, as the table at the top of `archive/rules.py` has it."""

import hashlib
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from consentful_server.archive import rules
from consentful_server.archive.store import Retraction, SealedDialog, StoredDialog, Tombstone
from consentful_server.clock import from_micros, to_micros
from consentful_server.consent.record import Record
from consentful_server.errors import Conflict, Erased
from sealed import START, candidate

NOW = to_micros(START + timedelta(days=1))


def stored(given: SealedDialog, number: int = 7) -> StoredDialog:
    fields: dict[str, Any] = {name: getattr(given, name) for name in given.__struct_fields__}
    return StoredDialog(**fields, number=number, stored_at=NOW - 1)


THERE = stored(candidate("d-1").sealed)
GONE = Tombstone(dialog_id="d-1", owner="shop", reason="withdrawn", erased_at=NOW - 5, number=7)
BLOCKED = Retraction(dialog_id="d-1", owner="shop", mark=b"m" * 32, retracted_at=NOW - 5)
MINE = THERE.record


class Same:
    """A candidate that takes whatever is there for itself."""

    def __init__(self, kept: StoredDialog) -> None:
        self.sealed = candidate("d-1").sealed
        self.mark = BLOCKED.mark
        self.kept = kept

    def wrapped_since(self, epoch: int) -> bytes:
        return bytes([epoch]) * 64

    def reconcile(self, stored: StoredDialog) -> StoredDialog:
        return self.kept


class Another(Same):
    """A candidate that is another dialog than the one that is there."""

    def reconcile(self, stored: StoredDialog) -> StoredDialog:
        raise Conflict


class TestWithdraw:
    @pytest.mark.parametrize(
        ("withdrawn", "left"),
        [
            ({"improve"}, ("research",)),
            ({"research", "never asked"}, ("improve",)),
            ({"improve", "research"}, ()),
            (set[str](), ("improve", "research")),
        ],
    )
    def test_what_is_left_is_what_was_not_withdrawn_in_the_same_order(
        self, withdrawn: set[str], left: tuple[str, ...]
    ) -> None:
        assert rules.left_of(MINE, withdrawn) == left


class TestKeep:
    def test_where_nothing_is_there_it_is_inserted_under_the_epochs_master(self) -> None:
        assert rules.on_keep(None, None, None, Same(THERE), 3, NOW) == rules.Insert(bytes([3]) * 64, NOW)

    def test_the_same_dialog_changes_nothing(self) -> None:
        assert rules.on_keep(THERE, None, None, Same(THERE), 3, NOW) == rules.Keep(THERE)

    def test_a_narrower_consent_narrows(self) -> None:
        narrower = msgspec.structs.replace(THERE, receipt="another")

        assert rules.on_keep(THERE, None, None, Same(narrower), 3, NOW) == rules.Narrow(narrower)

    def test_another_dialog_is_a_conflict(self) -> None:
        with pytest.raises(Conflict):
            rules.on_keep(THERE, None, None, Another(THERE), 3, NOW)

    @pytest.mark.parametrize("gone", [(GONE, None), (None, BLOCKED)], ids=["erased", "retracted"])
    def test_an_erased_or_retracted_id_stays_so(self, gone: tuple[Tombstone | None, Retraction | None]) -> None:
        with pytest.raises(Erased) as refusal:
            rules.on_keep(None, *gone, Same(THERE), 3, NOW)

        assert refusal.value.erased_at == from_micros(NOW - 5)


class TestRepeat:
    @pytest.mark.parametrize(
        ("purposes", "kept"),
        [
            (("improve", "research"), None),
            (("research", "improve"), None),
            (("research",), ("research",)),
            (("improve",), ("improve",)),
        ],
    )
    def test_the_same_purposes_keep_the_record_and_fewer_narrow_it(
        self, purposes: tuple[str, ...], kept: tuple[str, ...] | None
    ) -> None:
        later = msgspec.structs.replace(MINE, purposes=purposes, decided_at=NOW, expires_at=NOW + 9, given_by="x")

        record = rules.on_repeat(later, MINE, is_same=True)

        # What narrows changes the purposes alone: a replay prolongs nothing.
        assert record == (None if kept is None else msgspec.structs.replace(MINE, purposes=kept))

    @pytest.mark.parametrize(
        ("changed", "is_same"),
        [
            ({}, False),
            ({"customer": "cus_another"}, True),
            ({"owner": "another shop"}, True),
            ({"purposes": ("improve", "research", "sell")}, True),
            ({"purposes": ("sell",)}, True),
        ],
        ids=["other content", "other customer", "other credential", "more purposes", "other purposes"],
    )
    def test_anything_else_is_a_conflict(self, changed: dict[str, Any], is_same: bool) -> None:
        with pytest.raises(Conflict):
            rules.on_repeat(msgspec.structs.replace(MINE, **changed), MINE, is_same=is_same)


OWNERS = [(None, True), ("shop", True), ("another shop", False)]
CUSTOMERS = [(None, True), (MINE.customer, True), ("cus_another", False)]


class TestErase:
    @pytest.mark.parametrize(("owner", "owns"), OWNERS)
    @pytest.mark.parametrize(("customer", "is_theirs"), CUSTOMERS)
    def test_a_stored_dialog_is_shredded_for_those_it_belongs_to(
        self, owner: str | None, owns: bool, customer: str | None, is_theirs: bool
    ) -> None:
        plan = rules.on_erase(THERE, None, reason="withdrawn", owner=owner, customer=customer, now=NOW)

        expected = rules.Shred(7, MINE.customer, rules.tombstone_of(THERE, "withdrawn", NOW))
        assert plan == (expected if owns and is_theirs else None)

    @pytest.mark.parametrize(("owner", "owns"), OWNERS)
    def test_what_was_erased_answers_its_owner_the_same(self, owner: str | None, owns: bool) -> None:
        plan = rules.on_erase(None, GONE, reason="withdrawn", owner=owner, customer=None, now=NOW)

        assert plan == (rules.Done(GONE) if owns else None)

    def test_what_is_not_there_is_not_erased(self) -> None:
        assert rules.on_erase(None, None, reason="withdrawn", owner=None, customer=None, now=NOW) is None


class TestRetract:
    def test_an_id_that_nobody_has_is_blocked(self) -> None:
        plan = rules.on_retract(None, None, dialog_id="d-9", owner="shop", customer="cus_1", mark=b"m", now=NOW)

        assert plan == rules.Block(Retraction(dialog_id="d-9", owner="shop", mark=b"m", retracted_at=NOW))

    @pytest.mark.parametrize(("owner", "owns"), OWNERS[1:])
    def test_a_stored_dialog_is_erased_by_its_owner_alone(self, owner: str, owns: bool) -> None:
        plan = rules.on_retract(THERE, None, dialog_id="d-1", owner=owner, customer=MINE.customer, mark=b"m", now=NOW)

        assert isinstance(plan, rules.Shred) is owns
        assert (plan is None) is not owns

    @pytest.mark.parametrize(("owner", "owns"), OWNERS[1:])
    def test_what_was_erased_needs_no_retraction(self, owner: str, owns: bool) -> None:
        plan = rules.on_retract(None, GONE, dialog_id="d-1", owner=owner, customer="cus_1", mark=b"m", now=NOW)

        assert plan == (rules.Done(GONE) if owns else None)


def test_a_tombstone_keeps_the_proof_and_nothing_of_the_customer() -> None:
    tombstone = rules.tombstone_of(THERE, "requested", NOW)

    assert msgspec.structs.asdict(tombstone) == {
        "dialog_id": "d-1",
        "owner": "shop",
        "reason": "requested",
        "erased_at": NOW,
        "messages": 2,
        "decided_at": MINE.decided_at,
        "stored_at": THERE.stored_at,
        "notice_sha256": MINE.notice_sha256,
        "purposes": MINE.purposes,
        "receipt_sha256": hashlib.sha256(THERE.receipt.encode()).digest(),
        "number": 7,
        "withdrawal_hash": THERE.withdrawal_hash,
        "complete": False,
    }
    kept = msgspec.json.encode(msgspec.structs.replace(tombstone, receipt_sha256=None, withdrawal_hash=None))
    assert Record.__struct_fields__[1] == "customer"
    assert MINE.customer.encode() not in kept
