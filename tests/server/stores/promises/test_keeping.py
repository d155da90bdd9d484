"""What every store promises of dialogs that are kept: each one whole, once, and judged by itself."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from consentful_server.archive.store import SealedDialog, StoredDialog, Tombstone
from consentful_server.clock import from_micros
from consentful_server.errors import Conflict, Erased
from consentful_server.statistics.store import Which
from consentful_server.stores.store import Store
from consentful_server.testing import FakeClock
from kinds import KINDS
from sealed import PSEUDONYMS, START, candidate

from .selecting import dialogs, messages, names, select


async def test_it_says_what_it_is(store: Store) -> None:
    name, _, version = (await store.engine()).partition(" ")

    assert (name in ("SQLite", "PostgreSQL"), version.partition(".")[0].isdecimal()) == (True, True)


async def test_what_is_kept_is_found_whole(store: Store, clock: FakeClock) -> None:
    given = candidate("d-1", ("Hi", "Hello", "Bye"), bot="b-1", language="en")

    kept = await store.dialogs.keep(given)
    found = await store.dialogs.find("d-1")

    assert kept == found
    assert SealedDialog(**{name: getattr(kept, name) for name in SealedDialog.__struct_fields__}) == given.sealed
    assert from_micros(kept.stored_at) == clock.now()


async def test_keeping_the_same_dialog_again_gives_what_is_stored(store: Store, clock: FakeClock) -> None:
    first = await store.dialogs.keep(candidate("d-1"))
    clock.advance(60)

    again = await store.dialogs.keep(candidate("d-1", at=START + timedelta(minutes=1)))

    assert (again.receipt, again.stored_at, again.wrapped) == (first.receipt, first.stored_at, first.wrapped)
    assert await messages(store, order="stored") == [("d-1", 1), ("d-1", 2)]


async def test_dialogs_that_come_at_once_are_each_judged_and_counted_by_themselves(store: Store) -> None:
    await store.dialogs.keep(candidate("d-1"))
    gone = candidate("d-2")
    await store.dialogs.retract("d-2", "shop", PSEUDONYMS.of("c-1"), gone.mark)
    languages = ("en", "de", "en")
    new = [
        candidate(f"n-{number}", ("Hi",) * (number % 60 + 1), language=languages[number % 3], bot=f"b-{number % 2}")
        for number in range(150)
    ]
    given = [
        *new[:70],
        candidate("d-1"),  # a replay
        candidate("n-3", ("Bye",)),  # another dialog of an id that is new in the same moment
        gone,
        candidate("d-1", purposes=("improve",)),  # narrower
        candidate("n-5", ("Hi",) * 6, language="en", bot="b-1"),  # a replay of what is new in the same moment
        *new[70:],
    ]

    outcomes = await asyncio.gather(*map(store.dialogs.keep, given), return_exceptions=True)

    kept = [outcome for outcome in outcomes if isinstance(outcome, StoredDialog)]
    assert [type(outcome) for outcome in outcomes if outcome not in kept] == [Conflict, Erased]
    assert await store.dialogs.find("n-149") == kept[-1]
    assert len({outcome.number for outcome in kept}) == 1 + len(new)
    by_language = {counted.values: counted for counted in await store.counters.dialogs(Which(), ["language"])}
    assert {it: counted.dialogs for (it,), counted in by_language.items()} == {None: 1, "en": 100, "de": 50}
    for dialog_id in await dialogs(store):
        await store.dialogs.erase(dialog_id, "requested")
    assert await store.counters.dialogs(Which(), ["language", "bot", "length"]) == []
    assert await store.counters.messages(Which(), ["language", "bot", "role", "length"]) == []


@pytest.mark.parametrize(
    "other",
    [
        {"texts": ("Hi", "Hello!")},
        {"texts": ("Hi",)},
        {"texts": ("Hi", "Hello", "Bye")},
        {"customer_id": "c-2"},
        {"owner": "another shop"},
        {"language": "de"},
    ],
    ids=str,
)
async def test_the_same_id_with_other_content_is_a_conflict(store: Store, other: dict[str, object]) -> None:
    first = await store.dialogs.keep(candidate("d-1"))

    with pytest.raises(Conflict):
        await store.dialogs.keep(candidate("d-1", **other))  # pyright: ignore[reportArgumentType]

    found = await store.dialogs.find("d-1")
    assert isinstance(found, StoredDialog)
    assert found.texts == first.texts


async def test_a_replay_with_narrower_purposes_narrows_and_wider_ones_conflict(store: Store) -> None:
    first = await store.dialogs.keep(candidate("d-1"))

    narrowed = await store.dialogs.keep(candidate("d-1", purposes=("research",)))

    assert narrowed.record.purposes == ("research",)
    assert (narrowed.wrapped, narrowed.withdrawal_hash) == (first.wrapped, first.withdrawal_hash)
    assert narrowed.receipt != first.receipt
    found = await store.dialogs.find("d-1")
    assert found == narrowed
    with pytest.raises(Conflict):
        await store.dialogs.keep(candidate("d-1", purposes=("improve",)))
    with pytest.raises(Conflict):
        await store.dialogs.keep(candidate("d-1"))


async def test_one_conflict_never_fails_its_batch(store: Store) -> None:
    await store.dialogs.keep(candidate("d-0"))

    outcomes = await asyncio.gather(
        *(store.dialogs.keep(candidate(f"d-{number}", (f"text {number}",))) for number in range(20)),
        return_exceptions=True,
    )

    assert isinstance(outcomes[0], Conflict)
    assert all(isinstance(outcome, StoredDialog) for outcome in outcomes[1:])
    assert len(await dialogs(store)) == 20


async def test_concurrent_duplicates_are_stored_once(store: Store) -> None:
    outcomes = await asyncio.gather(*(store.dialogs.keep(candidate("d-1")) for _ in range(20)))

    assert len({outcome.wrapped for outcome in outcomes}) == 1
    assert await messages(store, order="stored") == [("d-1", 1), ("d-1", 2)]


async def test_a_cancelled_wait_does_not_cancel_the_commit(store: Store) -> None:
    waiting = asyncio.ensure_future(store.dialogs.keep(candidate("d-1")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    await store.dialogs.keep(candidate("d-2"))

    assert isinstance(await store.dialogs.find("d-1"), StoredDialog)


async def test_a_number_is_never_given_twice_so_a_cursor_in_commit_order_skips_nothing(store: Store) -> None:
    await store.dialogs.keep(candidate("d-1"))
    await store.dialogs.keep(candidate("d-2"))
    read_up_to = await store.dialogs.horizon()
    await store.dialogs.erase("d-2", "withdrawn")

    await store.dialogs.keep(candidate("d-3"))

    assert await store.dialogs.horizon() > read_up_to
    later = select(await store.dialogs.horizon(), order="stored", since=read_up_to)
    found, _ = await store.dialogs.list_messages(later, names)
    assert found == [("d-3", 1), ("d-3", 2)]


async def test_numbers_ascend_in_the_order_of_commit(store: Store) -> None:
    kept = await asyncio.gather(*(store.dialogs.keep(candidate(f"d-{number}")) for number in range(20)))

    in_order = await dialogs(store, order="stored")
    assert in_order == [dialog.record.dialog_id for dialog in sorted(kept, key=lambda dialog: dialog.number)]
    assert len({dialog.number for dialog in kept}) == 20


async def test_facts_once_stated_are_never_changed(store: Store) -> None:
    await store.facts.state({"deployment": b"first", "a": b"1"})
    await store.facts.state({"deployment": b"second", "b": b"2"})

    assert await store.facts.all() == {"deployment": b"first", "a": b"1", "b": b"2"}


async def test_a_store_that_writes_is_ready_at_once_and_later(store: Store, clock: FakeClock) -> None:
    await store.probe()
    clock.advance(6)
    await store.probe()


async def test_what_was_kept_survives_a_restart(
    request: pytest.FixtureRequest, store: Store, tmp_path: Path, clock: FakeClock
) -> None:
    kept = await store.dialogs.keep(candidate("d-1"))
    await store.dialogs.keep(candidate("d-2"))
    await store.dialogs.erase("d-2", "withdrawn")
    reopen = KINDS[request.node.callspec.params["store"]]

    again = await reopen(tmp_path, clock)
    found, gone = await again.dialogs.find("d-1"), await again.dialogs.find("d-2")
    await again.close()

    assert found == kept
    assert isinstance(gone, Tombstone)
