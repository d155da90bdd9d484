"""Commitments: what a filter looked for is bound at once, and can be told for as long as it is there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.access_log.commitments import Commitments

COMMITMENTS = Commitments(bytes(range(32)))
VALUES = {"q": "parcel", "role": "bot"}
values = st.dictionaries(st.text(max_size=10), st.none() | st.integers(-5, 5) | st.text(max_size=10), max_size=5)


def test_what_an_earlier_version_committed_to_can_still_be_told() -> None:
    commitment = bytes.fromhex("ba15407e817c4049d8d6ee97560575a4af26379a21e73509c0dfa54793a20626")
    sealed = bytes.fromhex(
        "070707070707070707070707086da15b6808d0f3c19a14878756f39ca65b8a748ff0861ef9bc59fd03d9351ca5e580d8"
        "f12186f16792058fad7bbc85d927c78a1c177af74535000ee735523b08cbb0"
    )

    assert COMMITMENTS.open(commitment, sealed) == VALUES


@given(values)
def test_what_was_committed_to_is_told(wanted: dict[str, Any]) -> None:
    assert COMMITMENTS.open(*COMMITMENTS.make(wanted)) == wanted


def test_nobody_can_tell_by_a_commitment_whether_a_guess_is_right() -> None:
    made = [COMMITMENTS.make(VALUES) for _ in range(3)]

    assert len({commitment for commitment, _ in made}) == 3
    assert len({sealed[:12] for _, sealed in made}) == 3, "no nonce comes twice"
    assert all(len(commitment) == 32 and b"parcel" not in commitment + sealed for commitment, sealed in made)


def test_the_order_in_which_filters_are_named_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", bytes)

    assert COMMITMENTS.make(VALUES) == COMMITMENTS.make(dict(reversed(VALUES.items())))


@pytest.mark.parametrize("place", [0, 12, 44, -1])
def test_values_that_were_altered_are_told_to_nobody(place: int) -> None:
    commitment, sealed = COMMITMENTS.make(VALUES)
    altered = bytearray(sealed)
    altered[place] ^= 1

    assert COMMITMENTS.open(commitment, bytes(altered)) is None


def test_others_values_are_told_to_nobody() -> None:
    commitment, sealed = COMMITMENTS.make(VALUES)
    other, others = COMMITMENTS.make({"q": "letter"})

    assert COMMITMENTS.open(other, sealed) is None
    assert COMMITMENTS.open(commitment, others) is None
    assert Commitments(bytes(32)).open(commitment, sealed) is None
    assert COMMITMENTS.open(commitment, b"") is None


def test_values_that_fit_the_seal_but_not_the_commitment_are_told_to_nobody() -> None:
    """Whoever has the key could seal anything; what was committed to is another matter."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    commitment, _ = COMMITMENTS.make(VALUES)
    forged = bytes(12) + AESGCM(bytes(range(32))).encrypt(bytes(12), bytes(32) + b"\x80", commitment)

    assert COMMITMENTS.open(commitment, forged) is None
