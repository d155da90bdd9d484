"""Withdrawal codes as people type and paste them. Pure; the SDK, the service and its page read them alike.

A code is 26 of the letters A to Z and the digits 2 to 7 (RFC 4648 §6), shown as `HDSBL-47IYD-PCIDD-SIS5C-M5LPW-I`. What
happens to it on its way, and what is done about it:

    a document, a chat     other dashes, quotes around it, no-break and zero-width spaces: ignored; full-width letters:
                           taken for the letters they stand for (Unicode NFKD)
    a mail program         `=20`, `%0D%0A`, `&nbsp;`, `<br>`, `> ` before each line: undone
    a keyboard             lower case, digits of other scripts, Cyrillic and Greek letters that look alike
    a reader               0 for O and 8 for B, which no code contains; I, l and 1 for each other
    a copier               the label before it, as in `Code: …` or `https://…?code=…`, or the customer's link, `https://…#…`
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from itertools import combinations
from typing import Final
from urllib.parse import unquote

ALPHABET: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
LENGTH: Final = 26
LONGEST: Final = 1000
"""Characters of a text that is read at all."""

_ALIKE: Final = str.maketrans("АВЕЅІЈКМНОРСТУХΑΒΕΖΗΙΚΜΝΟΡΤΥΧŁØ08", "ABESIJKMHOPCTYXABEZHIKMNOPTYXLOOB")
_ONE: Final = frozenset("1IL")
"""They look alike in many fonts."""

_MOST_READINGS: Final = 64
_TAGS: Final = re.compile(r"<(?!https?://)[^<>]*>|\\[nrt]")
"""`<https://…>` is a link (RFC 3986, appendix C)."""
_PERCENT: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_QUOTED_PRINTABLE: Final = re.compile(r"(?:=[0-9A-Fa-f]{2})+|=\r?\n")
_LABEL: Final = re.compile(r".*[:=#]", re.DOTALL)


def readings(text: str) -> tuple[str, ...]:
    """Return the codes that this text can mean, the likeliest first; none if it is not a code.

    There are several only where the text has an I, an L or a 1. Each is `LENGTH` characters of `ALPHABET`.
    """
    return next((tuple(_resolved(letters)) for letters in _attempts(text) if _is_code(letters)), ())


def _attempts(text: str) -> Iterator[str]:
    """Yield the letters of the text in the ways it can have been mangled; the length tells which one is right."""
    if len(text) > LONGEST:
        return
    plain = _PERCENT.sub(_unescaped, _TAGS.sub(" ", html.unescape(text)))
    for whole in (_QUOTED_PRINTABLE.sub(_unescaped, plain), plain):
        yield _letters(whole)
        yield _letters(_LABEL.sub("", whole))


def _unescaped(match: re.Match[str]) -> str:
    """Return what an escape stands for; an escape of letters is none, because no program escapes them."""
    found = unquote(match[0].replace("=", "%"), errors="replace")
    return match[0] if any(map(str.isalnum, found)) or "\ufffd" in found else " "


def _letters(text: str) -> str:
    """Return the letters and digits of the text in upper case, without what surrounds and separates them."""
    kept = [_plain(letter) for letter in unicodedata.normalize("NFKD", text) if letter.isalnum()]
    return "".join(kept).upper().translate(_ALIKE)


def _plain(letter: str) -> str:
    """Return a digit of any script as an ASCII digit."""
    value = unicodedata.decimal(letter, None)
    return letter if value is None else str(value)


def _is_code(letters: str) -> bool:
    return len(letters) == LENGTH and ALPHABET.issuperset(letters.replace("1", "I"))


def _resolved(letters: str) -> Iterator[str]:
    """Yield the code with each I, L and 1 as I or L: first as it was spelt, then with ever more of them changed."""
    spelt = letters.replace("1", "I")
    places = [place for place, letter in enumerate(letters) if letter in _ONE]
    changes = (some for count in range(len(places) + 1) for some in combinations(places, count))
    for _, changed in zip(range(_MOST_READINGS), changes, strict=False):
        yield "".join(_other(letter) if place in changed else letter for place, letter in enumerate(spelt))


def _other(letter: str) -> str:
    return "L" if letter == "I" else "I"
