"""Commitments: what a filter looked for is bound at once, and can be told for as long as it is there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.access_log.commitments import Commitments
from consentful_server.keys.epoch_seals import EpochSeals
from consentful_server.keys.vault import Vault

MASTERS = {1: b"1" * 32, 2: b"2" * 32}
COMMITMENTS = Commitments(bytes(range(32)), EpochSeals(Vault(b"deployment", MASTERS)))
ENDING = {"q": "parcel", "role": "bot"}
LASTING = {"since": "2026-01-01T00:00:00Z", "role": "bot"}
both = pytest.mark.parametrize("values", [ENDING, LASTING], ids=["ending", "lasting"])
names = st.text(max_size=10) | st.sampled_from(["role", "since"])
wishes = st.dictionaries(names, st.none() | st.integers(-5, 5) | st.text(max_size=10), max_size=5)


def test_lasting_values_that_an_earlier_version_committed_to_can_still_be_told() -> None:
    commitment = bytes.fromhex("d6e7ac96ab890d685f494882f9c05471b64fe3913ee63d62810721acc3acb07f")
    sealed = bytes.fromhex(
        "070707070707070707070707086da15b6808d0f3c19a14878756f39ca65b8a748ff0861ef9bc59fd03d9351ca5e08311"
        "ed2557f06d8a048eab79ba430f7a837be38c313ab0d8d0b65d88b9c0759fc002d353ce10bd1ad0104c67fead407cce7bf4"
    )

    assert COMMITMENTS.open(LASTING, commitment, sealed) == LASTING


@given(wishes)
def test_what_was_committed_to_is_told(wanted: dict[str, Any]) -> None:
    made = COMMITMENTS.make(wanted)

    assert COMMITMENTS.open(wanted, made.commitment, made.sealed) == wanted
    assert COMMITMENTS.holds(wanted, made.commitment, made.sealed)


@pytest.mark.parametrize(
    ("name", "epoch"),
    [("q", 2), ("customer", 2), ("dialog_id", 2), ("bot", 2), ("language", 2), ("role", None), ("until", None)],
)
def test_whatever_can_tell_of_a_person_ends_with_its_epoch(name: str, epoch: int | None) -> None:
    assert COMMITMENTS.make({name: "x"}).epoch == epoch
    assert COMMITMENTS.make({name: "x", "q": "y"}).epoch == 2


@pytest.mark.parametrize("left", [{2: MASTERS[2], 3: b"3" * 32}, {3: b"3" * 32}], ids=["open", "ended"])
def test_values_are_told_until_their_master_key_is_destroyed_and_called_altered_neither_before_nor_after(
    left: dict[int, bytes],
) -> None:
    made = COMMITMENTS.make(ENDING)
    later = Commitments(bytes(range(32)), EpochSeals(Vault(b"deployment", left)))

    assert later.open(ENDING, made.commitment, made.sealed) == (ENDING if 2 in left else None)
    assert later.holds(ENDING, made.commitment, made.sealed)
    assert not later.holds(ENDING, made.commitment, (3).to_bytes(4, "big") + made.sealed[4:])
    assert not later.holds(ENDING, made.commitment, (4).to_bytes(4, "big") + made.sealed[4:])


@both
def test_nobody_can_tell_by_a_commitment_whether_a_guess_is_right(values: dict[str, Any]) -> None:
    made = [COMMITMENTS.make(values) for _ in range(3)]

    assert len({it.commitment for it in made}) == 3
    assert len({it.sealed[4:16] for it in made}) == 3, "no nonce comes twice"
    assert all(len(it.commitment) == 32 and b"bot" not in it.commitment + it.sealed for it in made)


def test_the_order_in_which_filters_are_named_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", bytes)

    assert COMMITMENTS.make(LASTING) == COMMITMENTS.make(dict(reversed(LASTING.items())))
    assert COMMITMENTS.make(ENDING).commitment == COMMITMENTS.make(dict(reversed(ENDING.items()))).commitment


@both
@pytest.mark.parametrize("place", [3, 12, 44, 64, 100, -1])
def test_values_that_were_altered_are_told_to_nobody(values: dict[str, Any], place: int) -> None:
    made = COMMITMENTS.make(values)
    altered = bytearray(made.sealed)
    altered[min(place, len(altered) - 1)] ^= 1 << 3

    assert COMMITMENTS.open(values, made.commitment, bytes(altered)) is None
    assert not COMMITMENTS.holds(values, made.commitment, bytes(altered))


@both
def test_others_values_are_told_to_nobody(values: dict[str, Any]) -> None:
    made, other = COMMITMENTS.make(values), COMMITMENTS.make(values | {"role": "customer"})
    stranger = Commitments(bytes(32), EpochSeals(Vault(b"another", {1: b"1" * 32, 2: b"x" * 32})))

    assert COMMITMENTS.open(values, other.commitment, made.sealed) is None
    assert COMMITMENTS.open(values, made.commitment, other.sealed) is None
    assert stranger.open(values, made.commitment, made.sealed) is None
    assert COMMITMENTS.open(values, made.commitment, b"") is None


def test_values_that_fit_the_seal_but_not_the_commitment_are_told_to_nobody() -> None:
    """Whoever has the key could seal anything; what was committed to is another matter."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    commitment = COMMITMENTS.make(LASTING).commitment
    forged = bytes(12) + AESGCM(bytes(range(32))).encrypt(bytes(12), bytes(32) + b"\x80", commitment)

    assert COMMITMENTS.open(LASTING, commitment, forged) is None
