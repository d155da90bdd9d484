import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful import Conflict, ConsentfulError, Erased, Forbidden, Refused, Superseded, TimedOut, Unauthorised, wire
from consentful.close_codes import Lost, of_close, of_error, of_status


@pytest.mark.parametrize(
    ("code", "kind", "stable"),
    [
        (1002, Refused, "close_1002"),
        (1003, Refused, "close_1003"),
        (1007, Refused, "close_1007"),
        (1008, Refused, "close_1008"),
        (1009, Refused, "close_1009"),
        (1010, Refused, "close_1010"),
        (4500, Refused, "close_4500"),
        (4501, Unauthorised, "unauthenticated"),
        (4503, Forbidden, "forbidden"),
        (4508, TimedOut, "idle"),
        (4509, Conflict, "conflict"),
        (4510, Erased, "erased"),
        (4511, Superseded, "superseded"),
        (4512, Refused, "close_4512"),
        (4513, TimedOut, "duration"),
        (4999, Refused, "close_4999"),
    ],
)
def test_a_final_close_is_a_typed_error(code: int, kind: type[ConsentfulError], stable: str) -> None:
    error = of_close(code, None)

    assert isinstance(error, ConsentfulError)
    assert type(error) is kind
    assert error.code == stable
    assert str(error)


@given(st.sampled_from([None, 1000, 1001, 1006, 1011, 1012, 1013, 5000]) | st.integers(4000, 4499))
def test_any_other_close_is_a_loss_that_may_be_made_good_at_once(code: int | None) -> None:
    lost = of_close(code, None)

    assert isinstance(lost, Lost)
    assert (lost.reason, lost.retry_after) == (f"closed with {code}", 0.0)


def test_the_close_code_decides_and_the_error_before_it_lends_its_words() -> None:
    said = wire.Error("unauthenticated", "the token has expired", retry_after_s=2.5)

    final, passing = of_close(4501, said), of_close(4003, said)

    assert isinstance(final, Unauthorised)
    assert str(final) == "the token has expired"
    assert isinstance(passing, Lost)
    assert passing.retry_after == 2.5
    silent = of_close(4003, wire.Error("overloaded", "later"))
    assert isinstance(silent, Lost)
    assert silent.retry_after == 0.0


def test_a_final_close_that_is_not_known_takes_the_code_of_the_error() -> None:
    error = of_close(4599, wire.Error("from_the_future", "upgrade"))

    assert isinstance(error, Refused)
    assert (error.code, str(error)) == ("from_the_future", "upgrade")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_passing_status_is_a_loss(status: int) -> None:
    lost = of_status(status, 7.0)

    assert isinstance(lost, Lost)
    assert (lost.reason, lost.retry_after) == (f"HTTP {status}", 7.0)
    assert str(lost) == lost.reason


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, Refused, "bad_request"),
        (401, Unauthorised, "unauthenticated"),
        (403, Forbidden, "forbidden"),
        (404, Refused, "http_404"),
        (501, Refused, "http_501"),
        (200, Refused, "http_200"),
    ],
)
def test_any_other_status_is_a_typed_error(status: int, kind: type[ConsentfulError], code: str) -> None:
    error = of_status(status, 0.0)

    assert isinstance(error, ConsentfulError)
    assert type(error) is kind
    assert error.code == code


@pytest.mark.parametrize(("asked", "wait_s"), [(5, 5.0), (None, 0.0)])
def test_an_error_that_may_be_retried_is_a_loss(asked: float | None, wait_s: float) -> None:
    lost = of_error(wire.Error("overloaded", "later", retry=True, retry_after_s=asked))

    assert isinstance(lost, Lost)
    assert (lost.reason, lost.retry_after) == ("error overloaded", wait_s)


@pytest.mark.parametrize("code", ["conflict", "erased", "unauthenticated", "forbidden"])
def test_an_error_that_a_close_follows_waits_for_it(code: str) -> None:
    assert of_error(wire.Error(code, "taken")) is None


def test_any_other_error_ends_the_dialog() -> None:
    error = of_error(wire.Error("limit", "over max_text_bytes", seq=3))

    assert isinstance(error, Refused)
    assert error.code == "limit"
