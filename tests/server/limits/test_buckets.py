"""Token buckets: never more than the burst and the rate allow, never less than a patient client is owed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.limits.buckets import Bucket, Buckets, Rate, client_of


def test_a_burst_is_given_at_once_and_the_rate_afterwards() -> None:
    bucket = Bucket(Rate(burst=3, per_second=0.5))

    assert [bucket.take(10) for _ in range(4)] == [0, 0, 0, 2.0]
    assert bucket.take(11) == 1.0
    assert bucket.take(12) == 0
    assert bucket.take(12) == 2.0


def test_what_is_refused_costs_nothing() -> None:
    bucket = Bucket(Rate(burst=1, per_second=1))
    bucket.take(0)

    assert [bucket.take(0.5) for _ in range(100)] == [0.5] * 100
    assert bucket.take(1) == 0


def test_more_than_the_burst_is_given_by_a_full_bucket_and_paid_for_afterwards() -> None:
    bucket = Bucket(Rate(burst=10, per_second=10))

    assert bucket.take(0, 40) == 0
    assert bucket.take(0, 1) == pytest.approx(3.1)
    assert bucket.take(4, 40) == 0


def test_what_was_taken_unasked_is_owed() -> None:
    bucket = Bucket(Rate(burst=10, per_second=5))

    assert [bucket.charge(0, 4), bucket.charge(0, 6), bucket.charge(0, 5), bucket.charge(0, 0)] == [0, 0, 1, 1]
    assert bucket.take(0.5, 1) == pytest.approx(0.7)
    assert (bucket.charge(1, 0), bucket.take(3, 10)) == (0, 0)


steps = st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 4)), max_size=60)


@given(steps, st.floats(4, 20), st.floats(0.1, 50))
def test_nobody_gets_more_than_burst_and_rate(asked: list[tuple[float, float]], burst: float, rate: float) -> None:
    bucket, now, given_out = Bucket(Rate(burst, rate)), 0.0, 0.0
    for passed, amount in asked:
        now += passed
        wait_s = bucket.take(now, amount)
        given_out += amount if wait_s == 0 else 0
        assert given_out <= burst + rate * now + 1e-6
        assert 0 <= wait_s <= (burst + 1e-6) / rate


@given(steps, st.floats(4, 20), st.floats(0.1, 50))
def test_whoever_waits_as_long_as_told_is_served(asked: list[tuple[float, float]], burst: float, rate: float) -> None:
    bucket, now = Bucket(Rate(burst, rate)), 0.0
    for passed, amount in asked:
        now += passed
        now += bucket.take(now, amount)
    assert bucket.take(now, 0) == 0


def test_clients_do_not_pay_for_each_other_and_are_forgotten_once_they_are_full_again() -> None:
    buckets = Buckets(Rate(burst=1, per_second=1), most=3)

    assert [buckets.take(client, 0) for client in "abc"] == [0, 0, 0]
    assert buckets.take("a", 0) == 1
    assert buckets.take("d", 2) == 0
    assert len(buckets) == 1


def test_however_many_clients_come_few_are_remembered() -> None:
    buckets = Buckets(Rate(burst=1, per_second=1), most=100)

    assert [buckets.take(str(client), 0) for client in range(5000)] == [0] * 5000
    assert len(buckets) == 100
    assert buckets.take("4999", 0) == 1


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        (None, ""),
        ("no address", ""),
    ],
)
def test_an_ipv6_site_is_one_client(address: str | None, client: str) -> None:
    assert client_of(address) == client
