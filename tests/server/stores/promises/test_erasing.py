"""What every store promises of dialogs that are erased or retracted."""

import msgspec
import pytest

from consentful_server.archive.store import StoredDialog, Tombstone
from consentful_server.clock import from_micros
from consentful_server.errors import Erased
from consentful_server.stores.store import Store
from consentful_server.testing import FakeClock
from sealed import PSEUDONYMS, candidate

from .selecting import dialogs, messages


async def test_an_erased_dialog_leaves_a_tombstone_and_nothing_else(store: Store, clock: FakeClock) -> None:
    kept = await store.dialogs.keep(candidate("d-1"))
    clock.advance(5)

    erasure = await store.dialogs.erase("d-1", "withdrawn")

    assert erasure is not None
    # Nobody is told that a key is gone while the store's own files may hold an earlier copy of it.
    assert erasure.is_unreadable != (await store.dialogs.residue(["d-1"])).earlier_copies
    tombstone = await store.dialogs.find("d-1")
    assert isinstance(tombstone, Tombstone)
    assert tombstone == erasure.tombstone
    assert (tombstone.reason, tombstone.messages, from_micros(tombstone.erased_at)) == ("withdrawn", 2, clock.now())
    assert kept.record.customer not in repr(msgspec.structs.asdict(tombstone))
    assert await messages(store) == []
    assert await dialogs(store) == []


async def test_erasing_again_answers_the_same_and_erasing_nothing_says_so(store: Store, clock: FakeClock) -> None:
    await store.dialogs.keep(candidate("d-1"))
    first = await store.dialogs.erase("d-1", "withdrawn")
    clock.advance(60)

    assert await store.dialogs.erase("d-1", "requested") == first
    assert await store.dialogs.erase("unknown", "withdrawn") is None


@pytest.mark.parametrize("whose", [{"owner": "another shop"}, {"customer": PSEUDONYMS.of("c-2")}], ids=str)
async def test_a_foreign_dialog_is_not_erased(store: Store, whose: dict[str, str]) -> None:
    await store.dialogs.keep(candidate("d-1"))

    assert (
        await store.dialogs.erase("d-1", "withdrawn", owner=whose.get("owner"), customer=whose.get("customer")) is None
    )
    assert isinstance(await store.dialogs.find("d-1"), StoredDialog)


async def test_an_erased_id_cannot_come_back(store: Store) -> None:
    await store.dialogs.keep(candidate("d-1"))
    await store.dialogs.erase("d-1", "withdrawn")

    with pytest.raises(Erased):
        await store.dialogs.keep(candidate("d-1"))


async def retract(store: Store, dialog_id: str, owner: str = "shop", customer_id: str = "c-1") -> None:
    customer = PSEUDONYMS.of(customer_id)
    await store.dialogs.retract(dialog_id, owner, customer, PSEUDONYMS.mark(dialog_id, owner, customer))


async def test_a_retracted_dialog_is_not_stored_by_a_grant_that_comes_later(store: Store) -> None:
    await retract(store, "d-1")
    await retract(store, "d-1")  # again: the client got no answer

    with pytest.raises(Erased):
        await store.dialogs.keep(candidate("d-1"))
    assert await store.dialogs.find("d-1") is None


@pytest.mark.parametrize("other", [{"owner": "another shop"}, {"customer_id": "c-2"}], ids=str)
async def test_a_retraction_stops_only_the_grant_of_the_same_customer_and_credential(
    store: Store, other: dict[str, str]
) -> None:
    await retract(store, "d-1", **other)
    await retract(store, "d-2")

    await store.dialogs.keep(candidate("d-1"))
    await store.dialogs.keep(candidate("d-2", **other))  # pyright: ignore[reportArgumentType]

    assert await dialogs(store) == ["d-2", "d-1"]


async def test_retracting_a_stored_dialog_erases_it_but_not_a_foreign_one(store: Store) -> None:
    await store.dialogs.keep(candidate("d-1"))
    await store.dialogs.keep(candidate("d-2", customer_id="c-2"))

    for dialog_id in ("d-1", "d-1", "d-2"):
        await retract(store, dialog_id)

    assert await dialogs(store) == ["d-2"]


async def test_nothing_is_left_of_what_was_erased(store: Store) -> None:
    for dialog_id in ("d-1", "d-2"):
        await store.dialogs.keep(candidate(dialog_id))
    await store.dialogs.erase("d-1", "withdrawn")

    residue = await store.dialogs.residue(["d-1"])

    assert (residue.keys, residue.rows) == (0, 0)


async def test_a_withdrawal_code_erases_its_dialog_and_answers_the_same_again(store: Store, clock: FakeClock) -> None:
    kept = await store.dialogs.keep(candidate("d-1"))
    await store.dialogs.keep(candidate("d-2"))

    first = await store.dialogs.withdraw([bytes(32), kept.withdrawal_hash])
    clock.advance(60)

    assert first is not None
    assert (first.tombstone.dialog_id, first.tombstone.reason) == ("d-1", "withdrawn")
    assert await store.dialogs.withdraw([bytes(32), kept.withdrawal_hash]) == first
    assert await store.dialogs.withdraw([b"nobody's"]) is None
    assert await dialogs(store) == ["d-2"]
