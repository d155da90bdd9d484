"""Withdrawal codes may be tried by anybody, but not without end (GDPR art. 7(3))."""

import pytest
from aiohttp import ClientSession

from consentful_server.errors import TooOften
from consentful_server.limits.withdrawal_attempts import WithdrawalAttempts
from consentful_server.testing import FakeClock, Served

HOME = "127.0.0.1"


def use_up(guesses: WithdrawalAttempts, address: str = HOME) -> int:
    """Try codes until that is too often; return how many there were. An address may have a place for a number."""
    for tried in range(2_000):
        try:
            guesses.admit(address.format(tried))
        except TooOften:
            return tried
    raise AssertionError("codes can be tried without end")


def test_an_address_tries_some_at_once_and_others_are_not_held_up() -> None:
    clock = FakeClock()
    guesses = WithdrawalAttempts(clock)

    assert use_up(guesses) == 60
    guesses.admit("192.0.2.1")
    clock.advance(1)
    guesses.admit(HOME)


def test_many_addresses_together_have_an_end_too() -> None:
    clock = FakeClock()
    guesses = WithdrawalAttempts(clock)

    assert use_up(guesses, "2001:db8:{:x}::1") == 1000
    clock.advance(1)
    assert use_up(guesses, "2001:db8:1:{:x}::1") == 100


@pytest.mark.parametrize("address", [HOME, "2001:db8:{:x}::1"])
def test_the_wait_is_told_in_whole_seconds(address: str) -> None:
    guesses = WithdrawalAttempts(FakeClock())
    use_up(guesses, address)

    with pytest.raises(TooOften) as refusal:
        guesses.admit(HOME)
    assert refusal.value.retry_after_s == 1


def test_an_address_has_one_more_each_second_and_never_more_than_at_first() -> None:
    clock = FakeClock()
    guesses = WithdrawalAttempts(clock)
    use_up(guesses)

    clock.advance(5)
    assert use_up(guesses) == 5
    clock.advance(3600)
    assert use_up(guesses) == 60


async def test_too_many_codes_are_429_and_say_when_to_come_back(
    service: Served, http: ClientSession, clock: FakeClock
) -> None:
    use_up(service.service.withdrawal_attempts)

    async with http.post("/v1/withdrawals", json={"code": "AAAAA-AAAAA"}) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "1")
        assert (await response.json())["code"] == "too_often"
    async with http.post("/withdraw", data={"code": "AAAAA-AAAAA"}) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "1")
        assert "Seconds to wait: 1" in await response.text()
    clock.advance(1)
    async with http.post("/v1/withdrawals", json={"code": "AAAAA-AAAAA"}) as response:
        assert response.status == 404
