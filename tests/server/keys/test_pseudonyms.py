"""Pseudonyms: a customer has one name, here and in every export that was ever handed out (GDPR art. 4(5))."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.keys.pseudonyms import PREFIX, Pseudonyms

NAMES = Pseudonyms(b"p" * 32)


@pytest.mark.parametrize(
    ("customer_id", "name"), [("c-1", "cus_cppj23wdeoaxl2kyp4xlekxmha"), ("Zoë", "cus_dv5abce7we7nl73q3bvxygesmy")]
)
def test_a_name_never_changes(customer_id: str, name: str) -> None:
    assert NAMES.of(customer_id) == name


def test_without_the_key_nobody_can_tell_it() -> None:
    assert NAMES.of("c-1") != Pseudonyms(b"q" * 32).of("c-1")


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.text(st.characters(codec="utf-8"), max_size=40))
def test_names_are_as_short_as_they_are_said_to_be_and_each_customers_own(one: str, other: str) -> None:
    assert re.fullmatch(f"{PREFIX}[a-z2-7]{{26}}", NAMES.of(one))
    assert (NAMES.of(one) == NAMES.of(other)) == (one == other)
