"""Folding: the form of a text in which a search compares it. Pure.

A text is composed (NFC), because an accented letter can be one code point or two, and its case is folded. Composing
sorts each run of combining marks, in a time that grows with the square of its length (CPython issue 149079, mended in
later releases), and nothing else in Python runs meanwhile. So long runs are broken first, as the Stream-Safe Text
Format does (UAX #15 §13): no language has more than 30 combining marks in a row.
"""

import re
import unicodedata
from functools import cache
from typing import Final

_MOST_MARKS: Final = 30
_JOINER: Final = "\u034f"
"""Combining grapheme joiner: it is invisible and starts a new run."""
_WITH_MARKS: Final = range(0x300, 0x1F000)
"""Code points among which all combining marks are; a test compares this with the Unicode data."""


def fold(text: str) -> str:
    """Return the text composed and without case. Takes a time that is linear in its length, whatever it contains."""
    if text.isascii():
        return text.casefold()
    return unicodedata.normalize("NFC", stream_safe(text)).casefold()


def stream_safe(text: str) -> str:
    """Return the text with a joiner after each 30 combining marks in a row; nearly every text is returned as it is."""
    marks, beyond = _marks()
    if marks.isdisjoint(text):  # many times faster than a search for them
        return text
    # `re` tests a set of code points one range after the other if one of them lies beyond the basic plane.
    return _long_run("" if beyond.isdisjoint(text) else "".join(beyond)).sub(rf"\g<0>{_JOINER}", text)


@cache
def _marks() -> tuple[frozenset[str], frozenset[str]]:
    """Return all combining marks, and those beyond the basic plane. It takes a moment, at the first search."""
    marks = frozenset(filter(_is_mark, map(chr, _WITH_MARKS)))
    return marks, frozenset(mark for mark in marks if mark > "\uffff")


@cache
def _long_run(beyond: str) -> re.Pattern[str]:
    """Return what matches 30 marks, of the basic plane or `beyond` it, that are followed by another."""
    marks, others = _marks()
    mark = f"[{''.join(marks - others)}{beyond}]"
    return re.compile(f"{mark}{{{_MOST_MARKS}}}(?={mark})")


def _is_mark(character: str) -> bool:
    """Whether the character, decomposed, begins with a non-starter. A few have the class of a starter themselves."""
    return unicodedata.combining(unicodedata.normalize("NFD", character)[0]) > 0
