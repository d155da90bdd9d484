"""Several ledgers say the same in whatever order they are read, and however their entries are spread over them."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.archive.store import Reason, Retraction, Tombstone
from consentful_server.consent.notices import default_notice
from consentful_server.privacy.ledger import (
    Entry,
    ErasedEntry,
    NarrowedEntry,
    NumberedEntry,
    RetiredEntry,
    RetractedEntry,
    RevokedEntry,
)
from consentful_server.privacy.survey import Survey, by_dialog

IDS = st.sampled_from(["d-1", "d-2", "d-3"])
TIMES = st.integers(0, 3)
PURPOSES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True).map(tuple)


def _erased(name: str, at: int, place: int, reason: Reason) -> ErasedEntry:
    return ErasedEntry(Tombstone(dialog_id=name, owner="shop", reason=reason, erased_at=at, number=place), place)


def _retracted(name: str, at: int) -> RetractedEntry:
    return RetractedEntry(Retraction(dialog_id=name, owner="shop", mark=b"m", retracted_at=at))


ENTRIES: st.SearchStrategy[Entry] = st.one_of(
    st.builds(_erased, IDS, TIMES, st.integers(0, 9), st.sampled_from(["withdrawn", "requested"])),
    st.builds(_retracted, IDS, TIMES),
    st.builds(RevokedEntry, st.sampled_from(["k-1", "k-2"]), TIMES),
    st.builds(NarrowedEntry, IDS, PURPOSES, TIMES),
    st.builds(RetiredEntry, st.sampled_from(["n-1", "n-2"]), TIMES, st.sampled_from([(), tuple(default_notice())])),
    st.builds(NumberedEntry, st.integers(0, 5_000)),
)


def said(entries: Sequence[Entry]) -> object:
    survey = Survey()
    for entry in entries:
        survey.add(entry)
    purposes = {name: it.purposes for name, it in survey.narrowed.items()}
    return by_dialog(entries), purposes, survey.place, survey.numbered, survey.retracted, survey.revoked, survey.retired


@given(st.lists(ENTRIES, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_entries_and_ledgers_makes_no_difference(entries: list[Entry], chance: random.Random) -> None:
    shuffled = list(entries)
    chance.shuffle(shuffled)

    assert said(shuffled) == said(entries)


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, unique=True), st.data())
def test_a_consent_is_as_narrow_as_it_was_last_made_whatever_the_clocks_of_the_nodes_say(
    first: list[str], data: st.DataObject
) -> None:
    """Each narrowing is part of the one before; the clocks of two nodes may differ by any time."""
    chain = [tuple(first)]
    while len(chain[-1]) > 1 and data.draw(st.booleans()):
        kept = data.draw(st.lists(st.sampled_from(chain[-1]), min_size=1, unique=True))
        chain.append(tuple(it for it in chain[-1] if it in kept))
    entries: list[Entry] = [NarrowedEntry("d-1", purposes, data.draw(TIMES)) for purposes in chain]
    survey = Survey()

    for entry in data.draw(st.permutations(entries)):
        survey.add(entry)

    assert set(survey.narrowed["d-1"].purposes) == set(chain[-1])


@pytest.mark.parametrize(
    ("earlier", "later", "purposes"),
    [
        (("a", "b"), ("a",), ("a",)),
        (("a",), ("a", "b"), ("a",)),  # the first was answered with an error: the narrower one is done all the same
        (("a",), ("b",), ("b",)),  # the first was answered with an error, or the second could not be
    ],
)
def test_of_two_narrowings_what_they_have_in_common_is_true(
    earlier: tuple[str, ...], later: tuple[str, ...], purposes: tuple[str, ...]
) -> None:
    survey = Survey()
    survey.add(NarrowedEntry("d-1", earlier, 1))
    survey.add(NarrowedEntry("d-1", later, 2))

    assert survey.narrowed["d-1"].purposes == purposes
