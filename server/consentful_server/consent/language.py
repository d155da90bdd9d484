"""Languages: one spelling for each, and ranges of them.

BCP 47 tags have no case (RFC 5646 §2.1.1), so `EN` and `en` are one language. They are stored
and filtered in the spelling of RFC 5646 §2.1.1 with deprecated tags replaced: `en`, `pt-BR`, `he` for `iw`.
"""

from functools import lru_cache

import langcodes


@lru_cache(maxsize=4096)
def canonical(tag: str) -> str | None:
    """Return the one spelling of a BCP 47 tag, or None if it is not a tag."""
    try:
        return langcodes.standardize_tag(tag)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def fallbacks(tag: str) -> tuple[str, ...]:
    """Return the tag and what it falls back to, best first (lookup of RFC 4647 §3.4): `zh-Hant-TW`, `zh-Hant`, `zh`."""
    parts = tag.split("-")
    return tuple("-".join(parts[:length]) for length in range(len(parts), 0, -1))
