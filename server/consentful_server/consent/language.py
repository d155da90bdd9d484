"""Language tags in one canonical form, and what they fall back to.

BCP 47 tags are case-insensitive (RFC 5646 §2.1.1), so `EN` and `en` are the same language. They are stored and filtered
in the form that RFC 5646 §2.1.1 recommends, with deprecated tags replaced: `en`, `pt-BR`, `he` for `iw`.
"""

from functools import lru_cache

import langcodes


@lru_cache(maxsize=4096)
def canonical(tag: str) -> str | None:
    """Return the canonical form of a BCP 47 tag; None if it is not a tag."""
    try:
        return langcodes.standardize_tag(tag)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def fallbacks(tag: str) -> tuple[str, ...]:
    """Return the tag and its fallbacks, best first (lookup of RFC 4647 §3.4): `zh-Hant-TW`, `zh-Hant`, `zh`."""
    parts = tag.split("-")
    return tuple("-".join(parts[:length]) for length in range(len(parts), 0, -1))
