"""`Mac` is HMAC-SHA-256, as the standard library and RFC 4231 have it."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.mac import Mac


@given(st.binary(max_size=64), st.binary(max_size=5_000))
def test_it_is_the_mac_of_the_standard_library(key: bytes, message: bytes) -> None:
    assert Mac(key).of(message) == hmac.digest(key, message, "sha256")


def test_it_has_the_value_of_the_rfc() -> None:
    """RFC 4231 §4.3."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"

    assert Mac(b"Jefe").of(b"what do ya want for nothing?").hex() == expected


def test_a_key_that_would_be_digested_first_is_refused() -> None:
    with pytest.raises(AssertionError):
        Mac(bytes(65))
