"""What every store promises of leases."""

from datetime import timedelta

from consentful_server.stores.store import Store
from consentful_server.testing import FakeClock


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
