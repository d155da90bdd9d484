"""Folding for the search: what is the same text, and a time that is linear whatever a customer said."""

import random
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from consentful_server.archive import folding
from consentful_server.archive.folding import fold, stream_safe

_CLASSES = "\u0345\u0301\u0323\u0327\u05b0\u0f71"
"""Marks of different combining classes, which sort."""


def longest_run(text: str) -> int:
    longest = run = 0
    for character in unicodedata.normalize("NFD", text):
        run = run + 1 if unicodedata.combining(character) else 0
        longest = max(longest, run)
    return longest


@given(st.text())
def test_usual_texts_are_composed_and_lose_their_case(text: str) -> None:
    assert fold(text) == unicodedata.normalize("NFC", text).casefold()


def test_an_accented_letter_is_found_however_it_was_typed() -> None:
    assert fold("Cafe\u0301") == fold("CAFÉ") == "café"


@given(st.text(st.sampled_from([*_CLASSES, "a", "\u0f73", "\u0344", "\U0001e8d0", "é"]), max_size=300))
def test_no_run_of_marks_is_longer_than_text_of_any_language_needs(text: str) -> None:
    safe = stream_safe(text)

    assert longest_run(safe) <= 2 * 30 + 2  # some marks are two when decomposed
    assert safe.replace("\u034f", "") == text.replace("\u034f", "")


def test_every_combining_mark_is_known() -> None:
    marks = {
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.combining(unicodedata.normalize("NFD", character)[0])
    }

    assert folding._marks()[0] == marks  # pyright: ignore[reportPrivateUsage]


def test_the_longest_text_of_unordered_marks_is_never_sorted_as_one_run() -> None:
    """Sorting it as one run took half a second, in which nothing else ran."""
    chance = random.Random(1)
    for marks in (_CLASSES, "\u0f73", "\U0001e8d0\u0301", "\u0f73\u0f75\u0f81"):
        text = "a" + "".join(chance.choice(marks) for _ in range(16_000))

        assert longest_run(stream_safe(text)) <= 62
