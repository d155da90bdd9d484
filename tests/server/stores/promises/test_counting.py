"""What every store promises of what it counts: dialogs that expire, and outcomes of notices."""

from datetime import timedelta

from consentful_server.archive.store import ExpiryDay
from consentful_server.clock import to_micros
from consentful_server.statistics.store import NoticeOutcomes
from consentful_server.stores.store import Store
from sealed import START, candidate


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
