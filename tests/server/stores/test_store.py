"""The promises of `stores.Store`, kept by every store."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from consentful_server.access_log.chain import Action, Head, pack
from consentful_server.access_log.commitments import Commitments
from consentful_server.access_log.store import Seen, Trace, Values
from consentful_server.access_log.verification import Verifier
from consentful_server.archive.query import Filter, Horizon, Order, Position, Selection
from consentful_server.archive.store import (
    CustomerDialog,
    ExpiryDay,
    ListedDialog,
    MessageRow,
    SealedDialog,
    StoredDialog,
    Tombstone,
)
from consentful_server.auth.store import Credential
from consentful_server.clock import from_micros, to_micros
from consentful_server.consent.notices import Wording
from consentful_server.errors import Conflict, Erased
from consentful_server.keys.epoch_seals import EpochSeals
from consentful_server.privacy.store import PrivacyRequest, RequestPlace, RequestsWanted
from consentful_server.statistics.store import NoticeOutcomes, Which
from consentful_server.stores.store import Store
from consentful_server.testing import FakeClock
from jotting import CHAIN, Jotting
from kinds import KINDS
from sealed import CATALOGUE, PSEUDONYMS, START, VAULT, candidate


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START + timedelta(days=1))


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Store]:
    opened = await KINDS[request.param](tmp_path, clock)
    yield opened
    await opened.close()


def select(
    horizon: Horizon | None,
    *,
    order: Order = "newest",
    limit: int = 1000,
    after: Position | None = None,
    since: Horizon | None = None,
    scope: tuple[str, ...] | None = None,
    wanted: Filter | None = None,
) -> Selection:
    return Selection(
        filter=wanted or Filter(), order=order, horizon=horizon, limit=limit, after=after, since=since, purposes=scope
    )


def names(rows: Sequence[MessageRow], dialogs: Mapping[int, ListedDialog], _more: bool) -> list[tuple[str, int]]:
    return [(dialogs[row.dialog].record.dialog_id, row.seq) for row in rows]


async def messages(store: Store, **how: object) -> list[tuple[str, int]]:
    selection = select(await store.dialogs.horizon(), **how)  # pyright: ignore[reportArgumentType]
    found, horizon = await store.dialogs.list_messages(selection, names)
    assert horizon == selection.horizon
    return found


async def dialogs(store: Store, **how: object) -> list[str]:
    selection = select(await store.dialogs.horizon(), **how)  # pyright: ignore[reportArgumentType]
    found, horizon = await store.dialogs.list_dialogs(
        selection, lambda rows, _: [dialog.record.dialog_id for dialog in rows]
    )
    assert horizon == selection.horizon
    return found


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


async def test_nothing_is_left_of_what_was_erased(store: Store) -> None:
    for dialog_id in ("d-1", "d-2"):
        await store.dialogs.keep(candidate(dialog_id))
    await store.dialogs.erase("d-1", "withdrawn")

    residue = await store.dialogs.residue(["d-1"])

    assert (residue.keys, residue.rows) == (0, 0)


async def test_what_is_expired_is_listed_and_counted(store: Store) -> None:
    for day in range(3):
        await store.dialogs.keep(candidate(f"d-{day}", at=START + timedelta(days=day)))
    end = to_micros(START + timedelta(days=31))  # notices promise 30 days

    assert await store.dialogs.expired(end, 10) == ["d-0", "d-1"]
    assert await store.dialogs.expired(end, 1) == ["d-0"]
    assert await store.dialogs.count_expired(end) == 2
    assert await store.dialogs.count_expired(to_micros(START)) == 0


async def test_the_days_on_which_dialogs_expire_are_counted(store: Store) -> None:
    last_moment = START + timedelta(days=1) - timedelta(microseconds=1)
    for name, at in (("d-1", START), ("d-2", last_moment), ("d-3", START + timedelta(days=1)), ("d-4", START)):
        await store.dialogs.keep(candidate(name, at=at))
    await store.dialogs.erase("d-4", "withdrawn")

    assert await store.dialogs.expiring() == [ExpiryDay("2026-01-31", 2), ExpiryDay("2026-02-01", 1)]


async def test_outcomes_of_notices_add_up(store: Store) -> None:
    assert await store.counters.of_notices() == []

    for granted in (1, 2):
        await store.counters.add_outcomes([], [NoticeOutcomes("n-2", "de", granted, 1, 0)])
    await store.counters.add_outcomes([], [NoticeOutcomes("n-1", "en", 0, 0, 5), NoticeOutcomes("n-2", "en", 1, 0, 0)])

    assert await store.counters.of_notices() == [
        NoticeOutcomes("n-1", "en", 0, 0, 5),
        NoticeOutcomes("n-2", "de", 3, 2, 0),
        NoticeOutcomes("n-2", "en", 1, 0, 0),
    ]


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


async def test_facts_once_stated_are_never_changed(store: Store) -> None:
    await store.facts.state({"deployment": b"first", "a": b"1"})
    await store.facts.state({"deployment": b"second", "b": b"2"})

    assert await store.facts.all() == {"deployment": b"first", "a": b"1", "b": b"2"}


async def test_names_of_purposes_are_kept_with_their_notice_and_are_not_added_later(store: Store) -> None:
    unnamed, named = (msgspec.structs.replace(CATALOGUE.wordings[0], id=it) for it in ("plain", "named"))
    names = tuple(f"Purpose {purpose}" for purpose in named.purposes)
    named = msgspec.structs.replace(named, purpose_names=names)
    await store.notices.add([unnamed])
    await store.notices.add([named])

    with pytest.raises(Conflict):
        await store.notices.add([msgspec.structs.replace(unnamed, purpose_names=names)])

    kept = {wording.id: wording.purpose_names for wording in await store.notices.all()}
    assert kept == {"plain": (), "named": names}


async def test_a_notice_is_added_once_never_changed_and_kept_when_it_is_retired(store: Store, clock: FakeClock) -> None:
    wordings: Sequence[Wording] = CATALOGUE.wordings
    await store.notices.add(wordings)
    clock.advance(60)
    await store.notices.add(wordings)
    other = [msgspec.structs.replace(wording, text="Other words") for wording in wordings]

    with pytest.raises(Conflict):
        await store.notices.add(other)

    added = to_micros(START + timedelta(days=1))
    assert await store.notices.all() == [msgspec.structs.replace(wording, added_at=added) for wording in wordings]
    assert await store.notices.retire("n-1")
    clock.advance(60)
    assert await store.notices.retire("n-1")
    assert not await store.notices.retire("n-9")
    assert [wording.retired_at for wording in await store.notices.all()] == [added + 60_000_000]


def _key(key_id: str) -> Credential:
    return Credential(id=key_id, name="first", hash=b"#" * 32, scopes=("privacy",), purposes=None, created_at=1)


async def test_the_first_credential_is_added_once(store: Store) -> None:
    first, other = _key("k-1"), _key("k-2")

    added = await asyncio.gather(store.credentials.add_first(first), store.credentials.add_first(other))

    assert sorted(added) == [False, True]
    assert len(await store.credentials.all()) == 1
    await store.credentials.revoke((await store.credentials.all())[0].id)
    assert not await store.credentials.add_first(other)


async def test_credentials_are_kept_and_revoked(store: Store, clock: FakeClock) -> None:
    credential = Credential(
        id="k-1", name="shop", hash=b"h", scopes=("data:read",), purposes=("research",), created_at=5, expires_at=9
    )
    await store.credentials.add(credential)

    assert await store.credentials.find("k-1") == credential
    assert await store.credentials.find("k-2") is None
    assert await store.credentials.revoke("k-1")
    revoked = await store.credentials.find("k-1")
    clock.advance(60)
    assert await store.credentials.revoke("k-1")
    assert not await store.credentials.revoke("k-2")
    assert await store.credentials.all() == [revoked]
    assert revoked is not None
    assert revoked.revoked_at is not None


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


async def test_of_many_holders_one_has_a_lease_until_it_lets_go_or_its_time_is_over(
    store: Store, clock: FakeClock
) -> None:
    hour = timedelta(hours=1)

    assert await store.leases.take("purge", "a", hour)
    assert not await store.leases.take("purge", "b", hour)
    assert await store.leases.take("other work", "b", hour)
    clock.advance(3599)
    assert await store.leases.take("purge", "a", hour)
    clock.advance(3599)
    assert not await store.leases.take("purge", "b", hour)
    clock.advance(1)
    assert await store.leases.take("purge", "b", hour)
    await store.leases.release("purge", "a")
    assert not await store.leases.take("purge", "a", hour)
    await store.leases.release("purge", "b")
    assert await store.leases.take("purge", "a", hour)


async def test_a_lease_from_a_clock_that_was_set_back_binds_nobody(store: Store, clock: FakeClock) -> None:
    clock.advance(86_400)
    await store.leases.take("purge", "a", timedelta(hours=1))
    clock.advance(-86_400)

    assert await store.leases.take("purge", "b", timedelta(hours=1))


async def test_entries_of_the_access_log_follow_each_other(store: Store) -> None:
    for who in ("a", "b", "c"):
        await store.access_log.add(Jotting(who))

    links = [logged.link for logged in await store.access_log.links(0, 10)]
    end = await store.access_log.head()

    assert [link.entry.who for link in links] == ["a", "b", "c"]
    assert CHAIN.breaks(Head(), links) == (end, None)
    assert CHAIN.is_genuine(end)
    assert [logged.link for logged in await store.access_log.links(1, 1)] == links[1:2]


async def test_a_log_is_verified_in_steps_up_to_its_head_as_it_is_then(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consentful_server.access_log.verification._STEP", 4)
    monkeypatch.setattr("consentful_server.access_log.verification._BLOCK", 2)
    verifier = Verifier(store.access_log, CHAIN, Commitments(b"v" * 32, EpochSeals(VAULT)))
    for number in range(7):
        await store.access_log.add(Jotting(str(number)))

    first = await verifier.step(Head())
    await store.access_log.add(Jotting("meanwhile"))
    second = await verifier.step(first.head)

    assert (first.entries, first.last, first.fault, first.more) == (4, 7, None, True)
    assert (second.entries, second.last, second.fault, second.more) == (8, 8, None, False)
    assert second.head == await store.access_log.head()
    assert (await verifier.check(first.head)).fault is None
    assert (await verifier.check(Head(4, bytes(32)))).fault == "entry 4 differs from the saved head"


async def test_entries_are_found_by_who_what_and_when_newest_first(store: Store) -> None:
    for minute, (who, action) in enumerate([("a", "dialog.read"), ("b", "dialog.read"), ("a", "log.read")]):
        await store.access_log.add(Jotting(who, cast("Action", action), START + timedelta(minutes=minute)))

    async def numbers(before: int | None = None, limit: int = 10, **trace: Any) -> list[int]:
        found = await store.access_log.newest(Trace(**trace), before, limit)
        return [logged.link.entry.number for logged in found]

    assert await numbers() == [3, 2, 1]
    assert await numbers(before=3, limit=1) == [2]
    assert await numbers(who="a") == [3, 1]
    assert await numbers(action="dialog.read") == [2, 1]
    assert await numbers(since=START + timedelta(minutes=1)) == [3, 2]
    assert await numbers(until=START + timedelta(minutes=1)) == [1]


async def test_an_erasure_and_its_entry_are_one_and_only_what_is_erased_now_is_noted(store: Store) -> None:
    kept = await store.dialogs.keep(candidate("d-1"))
    note = Jotting(action="dialog.withdrawn")

    for _ in range(2):
        await store.dialogs.erase("d-1", "withdrawn", note=note)
        await store.dialogs.erase("unknown", "withdrawn", note=note)

    (logged,) = await store.access_log.links(0, 10)
    assert logged.link.entry.dialogs == pack([kept.number])


async def test_values_are_forgotten_with_the_customer_and_the_entry_stays(store: Store) -> None:
    for customer_id in ("c-1", "c-2"):
        await store.dialogs.keep(candidate(f"d of {customer_id}", customer_id=customer_id))
        await store.access_log.add(Jotting(values=Values(b"sealed", PSEUDONYMS.of(customer_id), 1)))

    await store.dialogs.erase("d of c-1", "withdrawn")
    erased = [logged.sealed for logged in await store.access_log.links(0, 10)]
    await store.access_log.erase_values(PSEUDONYMS.of("c-2"))
    forgotten = [logged.sealed for logged in await store.access_log.links(0, 10)]

    assert erased == [None, b"sealed"]
    assert forgotten == [None, None]
    assert await store.access_log.ending(0, 10) == []


async def test_values_that_name_a_customer_of_whom_nothing_is_stored_are_not_written(store: Store) -> None:
    await store.dialogs.keep(candidate("d-1", customer_id="c-1"))
    await store.dialogs.erase("d-1", "requested")

    for customer_id in ("c-1", "unknown"):
        await store.access_log.add(Jotting(values=Values(b"sealed", PSEUDONYMS.of(customer_id), 1)))

    assert [logged.sealed for logged in await store.access_log.links(0, 10)] == [None, None]


async def test_values_end_with_their_epoch_and_others_last(store: Store) -> None:
    for epoch in (None, 1, 2, 1):
        await store.access_log.add(Jotting(values=Values(b"sealed", None, epoch)))

    ending = [logged.link.entry.number for logged in await store.access_log.ending(0, 10)]
    some = [logged.link.entry.number for logged in await store.access_log.ending(2, 1)]
    await store.epochs.end(2, 0)

    assert (ending, some) == ([2, 3, 4], [3])
    assert [logged.sealed for logged in await store.access_log.links(0, 10)] == [b"sealed", None, b"sealed", None]


async def test_the_values_of_single_entries_can_be_erased(store: Store) -> None:
    for _ in range(3):
        await store.access_log.add(Jotting(values=Values(b"sealed", None, 1)))

    await store.access_log.erase_values_of([1, 3])

    assert [logged.sealed for logged in await store.access_log.links(0, 10)] == [None, b"sealed", None]


async def test_erased_dialogs_come_in_the_order_of_their_erasure(store: Store) -> None:
    kept = [await store.dialogs.keep(candidate(f"d-{number}")) for number in range(3)]
    for dialog_id in ("d-2", "d-0"):
        await store.dialogs.erase(dialog_id, "expired")

    first, second = await store.access_log.erased_after(0, 10)

    assert (first.number, second.number) == (kept[2].number, kept[0].number)
    assert await store.access_log.erased_after(0, 1) == [first]
    assert await store.access_log.erased_after(first.place, 10) == [second]


async def test_dialogs_are_known_by_their_numbers_also_once_they_are_erased(store: Store, clock: FakeClock) -> None:
    kept = [
        await store.dialogs.keep(candidate(f"d-{number}", customer_id=customer_id))
        for number, customer_id in enumerate(("c-1", "c-1", "c-2"), 1)
    ]
    first, second, third = (dialog.number for dialog in kept)
    await store.dialogs.erase("d-2", "withdrawn")

    assert await store.access_log.numbers_of(PSEUDONYMS.of("c-1"), None) == [first]
    assert await store.access_log.numbers_of(None, "d-2") == [second]
    assert await store.access_log.numbers_of(PSEUDONYMS.of("c-2"), "d-1") == [first, third]
    assert await store.access_log.seen([third, second, third + 7]) == [
        Seen(second, "d-2", None, to_micros(clock.now()), ("improve", "research")),
        Seen(third, "d-3", PSEUDONYMS.of("c-2"), None, ("improve", "research")),
    ]


async def test_pending_requests_are_listed_by_due_date_until_they_are_settled(store: Store) -> None:
    for name, due in (("late", 20), ("soon", 10), ("done", 5)):
        request = PrivacyRequest(
            id=name,
            kind="erasure",
            status="complete" if name == "done" else "pending",
            requested_by="officer",
            received_at=1,
            due_at=due,
            dialogs=1,
            messages=2,
        )
        await store.requests.add(request)

    assert [request.id for request in await store.requests.pending()] == ["soon", "late"]
    await store.requests.settle("soon", "unreadable", "a report")
    assert [request.id for request in await store.requests.pending()] == ["late"]
    settled = await store.requests.find("soon")
    assert settled is not None
    assert (settled.status, settled.report) == ("unreadable", "a report")


async def test_a_request_knows_which_dialogs_were_erased_for_it(store: Store) -> None:
    request = PrivacyRequest(
        id="r-1",
        kind="erasure",
        status="pending",
        requested_by="officer",
        received_at=1,
        due_at=2,
        dialogs=2,
        messages=3,
    )

    await store.requests.add(request, ["d-2", "d-1"])

    assert await store.requests.erased_for("r-1") == ["d-1", "d-2"]
    assert await store.requests.erased_for("r-9") == []


def _request(name: str, **fields: Any) -> PrivacyRequest:
    given: dict[str, Any] = {
        "id": name,
        "kind": "erasure",
        "status": "complete",
        "requested_by": "officer",
        "received_at": 1,
        "due_at": 10,
        "dialogs": 1,
        "messages": 2,
    }
    return PrivacyRequest(**given | fields)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["r-4", "r-3", "r-2", "r-1"]),
        ({"order": "due"}, ["r-2", "r-3", "r-4", "r-1"]),
        ({"status": "pending"}, ["r-3", "r-1"]),
        ({"status": "pending", "order": "due"}, ["r-3", "r-1"]),
        ({"kind": "access"}, ["r-4"]),
        ({"due_before": 20}, ["r-3", "r-2"]),
        ({"kind": "access", "status": "pending"}, []),
    ],
)
@pytest.mark.parametrize("limit", [1, 3, 10])
async def test_requests_are_listed_in_pages_by_id_or_by_due_date_without_reports(
    store: Store, wanted: dict[str, Any], expected: list[str], limit: int
) -> None:
    for request in (
        _request("r-1", status="pending", due_at=30),
        _request("r-2", due_at=10),
        _request("r-3", status="pending", due_at=10, report="long"),
        _request("r-4", kind="access", status="incomplete", due_at=20, purposes=("research",), damaged=("d-1",)),
    ):
        await store.requests.add(request)

    found: list[PrivacyRequest] = []
    after: RequestPlace | None = None
    while page := await store.requests.page(RequestsWanted(**wanted), after, limit):
        assert len(page) <= limit
        found += page
        after = RequestPlace(page[-1].due_at, page[-1].id)

    assert [request.id for request in found] == expected
    assert [request.report for request in found] == [None] * len(found)


async def test_an_open_request_is_decided_once_and_waits_with_the_pending_ones_until_then(store: Store) -> None:
    request = _request("r-1", status="open", due_at=30, reference="2026/117")
    await store.requests.add(request)
    extended = msgspec.structs.replace(request, due_at=60, extended_for="complexity")
    refused = msgspec.structs.replace(extended, status="refused", refused_for="identity")
    before = (await store.access_log.head()).number

    assert [it.id for it in await store.requests.pending()] == ["r-1"]
    assert await store.requests.decide(extended, Jotting(action="request.decided"))
    assert await store.requests.find("r-1") == extended
    assert await store.requests.decide(refused, Jotting(action="request.decided"))
    assert await store.requests.find("r-1") == refused
    assert not await store.requests.decide(extended, Jotting(action="request.decided"))
    assert await store.requests.find("r-1") == refused
    assert await store.requests.pending() == []
    assert (await store.access_log.head()).number == before + 2
