"""Language tags by their syntax (BCP 47, RFC 5646 §2.1), in any case. Pure.

Whether a tag is registered does not matter: what a chatbot's platform calls a language is kept. An underscore is taken
as a hyphen, because platforms and operating systems name their locales so (`en_US`; UTS #35 §3.1).
"""

import re
from typing import Final

MAX_LENGTH: Final = 80
"""RFC 5646 §4.4.1 asks for 35 at least; the longest tag that it names has 48 characters."""

_SEP: Final = "[-_]"
_LANGUAGE: Final = rf"([A-Za-z]{{2,3}}({_SEP}[A-Za-z]{{3}}){{0,3}}|[A-Za-z]{{4,8}})"
_SCRIPT: Final = rf"({_SEP}[A-Za-z]{{4}})?"
_REGION: Final = rf"({_SEP}([A-Za-z]{{2}}|[0-9]{{3}}))?"
_VARIANTS: Final = rf"({_SEP}([A-Za-z0-9]{{5,8}}|[0-9][A-Za-z0-9]{{3}}))*"
_EXTENSIONS: Final = rf"({_SEP}[0-9A-WY-Za-wy-z]({_SEP}[A-Za-z0-9]{{2,8}})+)*"
_PRIVATE_USE: Final = rf"[xX]({_SEP}[A-Za-z0-9]{{1,8}})+"
_IRREGULAR: Final = (
    rf"[iI]{_SEP}[A-Za-z]{{3,8}}|[eE][nN]{_SEP}[gG][bB]{_SEP}[oO][eE][dD]|[sS][gG][nN]({_SEP}[A-Za-z]{{2}}){{2}}"
)
"""Tags of RFC 3066 that stay well-formed although they do not fit: `i-klingon`, `en-GB-oed`, `sgn-BE-FR`."""

# `$` alone would allow a trailing line feed; the look-ahead means the same in Python, JavaScript and JSON Schema.
PATTERN: Final = (
    rf"^({_LANGUAGE}{_SCRIPT}{_REGION}{_VARIANTS}{_EXTENSIONS}({_SEP}{_PRIVATE_USE})?"
    rf"|{_PRIVATE_USE}|{_IRREGULAR})$(?!\n)"
)
"""A regular expression without lookups: the same text is the frames' schema, and the check of every other door."""

_TAG: Final = re.compile(PATTERN)


def is_well_formed(text: str) -> bool:
    """Return whether the text is a language tag, of at most `MAX_LENGTH` characters."""
    return len(text) <= MAX_LENGTH and _TAG.search(text) is not None
