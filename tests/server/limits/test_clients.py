"""Each client has its share of opens, frames, bytes and dialogs; who takes more is told when to come back."""

import math
from contextlib import ExitStack

import pytest

from consentful_server.errors import Overloaded, TooOften
from consentful_server.limits.clients import MOST_STREAMS, Clients, by_address, by_credential
from consentful_server.settings import Settings
from consentful_server.testing import FakeClock

ANN, BOB = by_credential("ann"), by_credential("bob")
HOME = by_address("192.0.2.7")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def clients(clock: FakeClock) -> Clients:
    settings = Settings(
        opens_per_second=2, frames_per_second=4, bytes_per_second=1000, dialogs_per_client=2, streams_per_client=2
    )
    return Clients(settings, clock)


def wait_of(refusal: pytest.ExceptionInfo[TooOften]) -> int | None:
    return refusal.value.retry_after_s


def test_an_address_and_a_credential_are_never_the_same_client() -> None:
    assert by_address("192.0.2.7") == "address 192.0.2.7"
    assert by_address("2001:db8::1") == by_address("2001:db8::2")
    assert by_credential("192.0.2.7") == "credential 192.0.2.7"


def test_a_client_has_so_many_streams_at_a_time_and_another_when_one_has_ended(clients: Clients) -> None:
    with ExitStack() as streams:
        streams.enter_context(clients.stream(ANN))
        with clients.stream(ANN), pytest.raises(TooOften) as refusal, clients.stream(ANN):
            pass
        assert wait_of(refusal) == 5
        streams.enter_context(clients.stream(BOB))
        streams.enter_context(clients.stream(ANN))


def test_all_clients_together_have_no_more_streams_than_there_is_memory_for(clients: Clients) -> None:
    with ExitStack() as streams:
        for number in range(MOST_STREAMS):
            streams.enter_context(clients.stream(f"client {number}"))

        with pytest.raises(Overloaded), clients.stream("one more"):
            pass
    with clients.stream("one more"):
        assert clients.streams == 1


def test_ten_seconds_worth_of_opens_are_had_at_once_and_the_rate_afterwards(clients: Clients, clock: FakeClock) -> None:
    for _ in range(20):
        clients.admit(ANN)

    with pytest.raises(TooOften) as refusal:
        clients.admit(ANN)
    assert wait_of(refusal) == 1, "whole seconds, rounded up"
    clients.admit(BOB)
    clock.advance(0.5)
    clients.admit(ANN)


@pytest.mark.parametrize(("frames", "size", "wait_s"), [(41, 0, 1), (0, 10_001, 1), (60, 0, 5), (60, 17_000, 7)])
def test_who_sent_more_than_its_share_owes_it_and_opens_nothing_meanwhile(
    clients: Clients, clock: FakeClock, frames: int, size: int, wait_s: int
) -> None:
    with pytest.raises(TooOften) as refusal:
        clients.charge((ANN,), frames, size)
    assert wait_of(refusal) == wait_s

    clock.advance(wait_s - 0.9)
    if wait_s > 1:
        with pytest.raises(TooOften) as refusal:
            clients.admit(ANN)
        assert wait_of(refusal) == 1
    clients.admit(BOB)
    clock.advance(0.9)
    clients.admit(ANN)


def test_a_share_that_is_just_used_up_is_no_debt(clients: Clients) -> None:
    clients.charge((ANN,), 40, 10_000)

    clients.admit(ANN)


@pytest.mark.parametrize("names", [(ANN, HOME), (HOME, ANN)])
def test_each_name_pays_and_the_longer_wait_counts(clients: Clients, names: tuple[str, str]) -> None:
    clients.charge((HOME,), 40, 0)

    with pytest.raises(TooOften) as refusal:
        clients.charge(names, 20, 0)

    assert wait_of(refusal) == math.ceil(20 / 4)
    clients.admit(ANN)


def test_so_many_dialogs_at_a_time_and_each_that_ends_makes_room(clients: Clients) -> None:
    clients.hold(ANN, HOME)
    clients.admit(ANN)
    clients.hold(ANN)
    with pytest.raises(TooOften) as refusal:
        clients.admit(ANN)
    assert wait_of(refusal) == TooOften().retry_after_s

    clients.release(ANN)

    clients.admit(ANN)
    clients.admit(HOME)
    clients.admit(BOB)


def test_of_several_workers_each_has_an_equal_share(clock: FakeClock) -> None:
    settings = Settings(
        workers=2, port=8080, opens_per_second=2, frames_per_second=4, bytes_per_second=1000, dialogs_per_client=3
    )
    clients = Clients(settings, clock)

    for _ in range(10):  # ten seconds' worth of half the rate
        clients.admit(ANN)
    with pytest.raises(TooOften):
        clients.admit(ANN)
    clients.hold(BOB)
    clients.admit(BOB)
    clients.hold(BOB)
    with pytest.raises(TooOften):
        clients.admit(BOB)
    with pytest.raises(TooOften):
        clients.charge((HOME,), 21, 0)
    with pytest.raises(TooOften):
        clients.charge((HOME,), 0, 5001)
