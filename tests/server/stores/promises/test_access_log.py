"""What every store promises of the access log."""

from datetime import timedelta
from typing import Any, cast

import pytest

from consentful_server.access_log.chain import Action, Head, pack
from consentful_server.access_log.commitments import Commitments
from consentful_server.access_log.store import Seen, ShortEntry, Trace, Values
from consentful_server.access_log.verification import Verifier
from consentful_server.clock import to_micros
from consentful_server.keys.epoch_seals import EpochSeals
from consentful_server.stores.store import Store
from consentful_server.testing import FakeClock
from jotting import CHAIN, Jotting
from sealed import PSEUDONYMS, START, VAULT, candidate


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
    assert await store.access_log.searches(["q"], 0, 10) == []


async def test_values_that_name_a_customer_of_whom_nothing_is_stored_are_not_written(store: Store) -> None:
    await store.dialogs.keep(candidate("d-1", customer_id="c-1"))
    await store.dialogs.erase("d-1", "requested")

    for customer_id in ("c-1", "unknown"):
        await store.access_log.add(Jotting(values=Values(b"sealed", PSEUDONYMS.of(customer_id), 1)))

    assert [logged.sealed for logged in await store.access_log.links(0, 10)] == [None, None]


async def test_values_end_with_their_epoch_and_others_last(store: Store) -> None:
    for epoch in (None, 1, 2, 1):
        await store.access_log.add(Jotting(values=Values(b"sealed", None, epoch)))

    ending = [logged.link.entry.number for logged in await store.access_log.searches(["q"], 0, 10)]
    some = [logged.link.entry.number for logged in await store.access_log.searches(["q"], 2, 1)]
    await store.epochs.end(2, 0)

    assert (ending, some) == ([2, 3, 4], [3])
    assert [logged.sealed for logged in await store.access_log.links(0, 10)] == [b"sealed", None, b"sealed", None]


async def test_searches_are_found_among_all_entries_by_the_whole_names_of_their_filters(store: Store) -> None:
    for filters in (("bot", "q"), (), ("metadata",), ("metadata.q", "bot"), ("qq",)):
        await store.access_log.add(Jotting(values=Values(b"sealed", None, 1), filters=filters))

    found = {
        wanted: [logged.link.entry.number for logged in await store.access_log.searches(wanted, 0, 10)]
        for wanted in (("q",), ("q", "metadata"), ("bot",), ("other",), ())
    }

    assert found == {("q",): [1], ("q", "metadata"): [1, 3], ("bot",): [1, 4], ("other",): [], (): []}


async def test_short_entries_are_found_by_who_what_and_when_oldest_first(store: Store) -> None:
    for minute, (who, action) in enumerate([("a", "dialog.read"), ("b", "dialog.read"), ("a", "log.read")]):
        at = START + timedelta(minutes=minute)
        await store.access_log.add(Jotting(who, cast("Action", action), at, dialogs=pack([minute])))

    async def numbers(after: int = 0, limit: int = 10, **trace: Any) -> list[int]:
        return [entry.number for entry in await store.access_log.short(Trace(**trace), after, limit)]

    assert await numbers() == [1, 2, 3]
    assert await numbers(after=1, limit=1) == [2]
    assert await numbers(who="a") == [1, 3]
    assert await numbers(who="a", after=1) == [3]
    assert await numbers(action="dialog.read") == [1, 2]
    assert await numbers(since=START + timedelta(minutes=1)) == [2, 3]
    assert await numbers(until=START + timedelta(minutes=1)) == [1]
    (last,) = await store.access_log.short(Trace(), 2, 1)
    assert last == ShortEntry(
        3, to_micros(START + timedelta(minutes=2)), "credential", "a", "log.read", None, pack([2])
    )


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
