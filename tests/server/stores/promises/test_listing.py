"""What every store promises of pages: their order, their horizon, and their filters."""

from datetime import timedelta

import pytest

from consentful_server.archive.query import Filter, Position
from consentful_server.archive.store import CustomerDialog, StoredDialog, Tombstone
from consentful_server.stores.store import Store
from sealed import PSEUDONYMS, START, candidate

from .selecting import dialogs, messages, names, select


async def test_pages_in_both_orders_meet_every_message_once(store: Store) -> None:
    for number in range(5):
        await store.dialogs.keep(candidate(f"d-{number}", ("a", "b", "c"), at=START + timedelta(seconds=number)))
    for order in ("newest", "stored"):
        whole = await messages(store, order=order)
        walked: list[tuple[str, int]] = []
        after: Position | None = None
        while True:
            selection = select(await store.dialogs.horizon(), order=order, limit=4, after=after)
            (page, last), _ = await store.dialogs.list_messages(
                selection, lambda rows, found, more: (names(rows, found, more), rows[-1] if rows else None)
            )
            if last is None:
                break
            walked += page
            after = Position(last.received_at, last.dialog, last.seq)
        assert walked == whole
        assert len(set(walked)) == len(walked) == 15


async def test_a_horizon_never_moves_back(store: Store) -> None:
    await store.dialogs.keep(candidate("d-1"))
    before = await store.dialogs.horizon()

    await store.dialogs.erase("d-1", "withdrawn")

    assert await store.dialogs.horizon() >= before


async def test_a_page_ends_before_the_dialog_whose_texts_are_too_many(store: Store) -> None:
    long = ("x" * 30_000,) * 20  # two of them are more than a page reads
    for number in range(3):
        await store.dialogs.keep(candidate(f"d-{number}", long))
    how = select(await store.dialogs.horizon(), order="stored")

    dialogs, _ = await store.dialogs.list_dialogs(how, lambda some, more: (len(some), more), texts=True)
    bare, _ = await store.dialogs.list_dialogs(how, lambda some, more: (len(some), more))
    rows, _ = await store.dialogs.list_messages(how, lambda rows, found, more: (len(rows), len(found), more))

    assert (dialogs, bare, rows) == ((1, True), (3, False), (20, 1, True))


async def test_a_walk_that_goes_on_at_a_horizon_meets_what_came_since_and_nothing_else(store: Store) -> None:
    await store.dialogs.keep(candidate("d-1"))
    read_up_to = await store.dialogs.horizon()
    await store.dialogs.keep(candidate("d-2"))

    assert await dialogs(store, order="stored", since=read_up_to) == ["d-2"]
    assert await messages(store, order="stored", since=read_up_to) == [("d-2", 1), ("d-2", 2)]


async def test_dialogs_are_found_by_their_customer_and_among_ids(store: Store) -> None:
    mine = [await store.dialogs.keep(candidate(f"d-{number}", customer_id="c-1")) for number in (1, 2)]
    await store.dialogs.keep(candidate("d-3", customer_id="c-2"))
    await store.dialogs.erase("d-2", "withdrawn")

    assert await store.dialogs.of_customer(PSEUDONYMS.of("c-1")) == [
        CustomerDialog(mine[0].number, "d-1", 2, ("improve", "research"), mine[0].stored_at, mine[0].record.expires_at)
    ]
    assert sorted(await store.dialogs.still_stored(["d-1", "d-2", "d-3", "d-9"])) == ["d-1", "d-3"]


async def test_dialogs_that_are_found_together_are_those_that_are_found_alone(store: Store) -> None:
    for name in ("d-1", "d-2", "d-3"):
        await store.dialogs.keep(candidate(name, ("Hi", f"I am {name}")))
    await store.dialogs.erase("d-2", "withdrawn")

    found = await store.dialogs.find_all(["d-3", "d-1", "d-2", "d-9"])

    assert found == {name: await store.dialogs.find(name) for name in ("d-1", "d-2", "d-3")}
    assert [type(found[name]) for name in ("d-1", "d-2", "d-3")] == [StoredDialog, Tombstone, StoredDialog]
    assert await store.dialogs.find_all([]) == {}


async def test_a_horizon_hides_what_came_later(store: Store) -> None:
    await store.dialogs.keep(candidate("d-1"))
    horizon = await store.dialogs.horizon()
    await store.dialogs.keep(candidate("d-2"))

    found, _ = await store.dialogs.list_messages(select(horizon), names)

    assert {dialog_id for dialog_id, _ in found} == {"d-1"}


async def test_a_page_without_a_horizon_is_of_this_moment_and_says_which(store: Store) -> None:
    for number in range(3):
        await store.dialogs.keep(candidate(f"d-{number}"))

    found, below = await store.dialogs.list_messages(select(None), names)
    listed, also = await store.dialogs.list_dialogs(select(None), lambda rows, _: len(rows))

    assert ({dialog_id for dialog_id, _ in found}, listed) == ({"d-0", "d-1", "d-2"}, 3)
    assert below == also == await store.dialogs.horizon()


FILTERS: dict[str, tuple[Filter, set[str]]] = {
    "nothing": (Filter(), {"d-1", "d-2", "d-3"}),
    "language": (Filter(language="en"), {"d-1", "d-2"}),
    "language range": (Filter(language="en-GB"), {"d-2"}),
    "customer": (Filter(customer=PSEUDONYMS.of("c-2")), {"d-2"}),
    "unknown customer": (Filter(customer="cus_nobody"), set()),
    "dialog": (Filter(dialog_id="d-3"), {"d-3"}),
    "bot": (Filter(bot="b-1"), {"d-1"}),
    "role": (Filter(role="agent"), set()),
    "purpose": (Filter(purpose="research"), {"d-1", "d-3"}),
    "since": (Filter(since=START + timedelta(hours=2)), {"d-3"}),
    "until": (Filter(until=START + timedelta(hours=1, seconds=1)), {"d-1"}),
    "since and until": (
        Filter(since=START + timedelta(hours=1, seconds=1), until=START + timedelta(hours=2)),
        {"d-2"},
    ),
    "all at once": (Filter(language="en", customer=PSEUDONYMS.of("c-1"), bot="b-1", purpose="improve"), {"d-1"}),
    "none of both": (Filter(language="de", bot="b-1"), set()),
}


@pytest.mark.parametrize("name", FILTERS)
async def test_filters_are_anded(store: Store, name: str) -> None:
    await store.dialogs.keep(candidate("d-1", bot="b-1", language="en"))
    await store.dialogs.keep(
        candidate("d-2", customer_id="c-2", language="en-GB", purposes=("improve",), at=START + timedelta(hours=1))
    )
    await store.dialogs.keep(candidate("d-3", bot="b-2", language="de", at=START + timedelta(hours=2)))
    wanted, expected = FILTERS[name]

    for order in ("newest", "stored"):
        assert {dialog_id for dialog_id, _ in await messages(store, wanted=wanted, order=order)} == expected
        assert set(await dialogs(store, wanted=wanted, order=order)) == expected


async def test_a_credential_sees_only_dialogs_of_its_purposes(store: Store) -> None:
    await store.dialogs.keep(candidate("d-1", purposes=("improve",)))
    await store.dialogs.keep(candidate("d-2", purposes=("research",)))
    await store.dialogs.keep(candidate("d-3"))

    assert set(await dialogs(store, scope=("research",))) == {"d-2", "d-3"}
    assert {dialog_id for dialog_id, _ in await messages(store, scope=("research",))} == {"d-2", "d-3"}
    assert await messages(store, scope=()) == []
