"""Language tags in one canonical form, and what they fall back to.

BCP 47 tags are case-insensitive (RFC 5646 §2.1.1), so `EN` and `en` are the same language. They are stored and filtered
in the form that RFC 5646 §2.1.1 recommends, with deprecated tags replaced: `en`, `pt-BR`, `he` for `iw`. Every tag that
is well-formed has such a form, registered or not: what a frame may carry is never refused afterwards.
"""

import unicodedata
from functools import lru_cache
from typing import Final

import langcodes

from consentful.language import is_well_formed

_CASES: Final = {2: str.upper, 4: str.title}


@lru_cache(maxsize=4096)
def canonical(tag: str) -> str | None:
    """Return the canonical form of a BCP 47 tag, in which `_` is a hyphen; None if it is not well-formed."""
    if not is_well_formed(tag):
        return None
    try:
        standard = langcodes.standardize_tag(tag)
    except ValueError:  # langcodes knows no languages of five to eight letters, and only some of the `i-` tags
        return _conventional(tag)
    return standard if is_well_formed(standard) else _conventional(tag)  # the replacement may be too long


def _conventional(tag: str) -> str:
    """Return the tag in the case that RFC 5646 §2.1.1 recommends: `US` is a region, `Latn` a script."""
    first, *rest = tag.lower().replace("_", "-").split("-")
    parts = [first]
    is_cased = len(first) > 1  # everything after a singleton is in lower case
    for part in rest:
        is_cased = is_cased and len(part) > 1
        shape = _CASES.get(len(part), str.lower) if is_cased and part.isalpha() else str.lower
        parts.append(shape(part))
    return "-".join(parts)


@lru_cache(maxsize=4096)
def label(text: str) -> str:
    """Return the form in which any name of a language is stored and compared: its canonical tag, or else without case.

    Chatbots of the original contract name languages as they like: `EN`, `English`, `Schweizer Deutsch`.
    """
    return canonical(text) or _composed(_composed(text).casefold())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


@lru_cache(maxsize=1024)
def fallbacks(tag: str) -> tuple[str, ...]:
    """Return the tag and its fallbacks, best first (lookup of RFC 4647 §3.4): `zh-Hant-TW`, `zh-Hant`, `zh`."""
    parts = tag.split("-")
    return tuple("-".join(parts[:length]) for length in range(len(parts), 0, -1))
