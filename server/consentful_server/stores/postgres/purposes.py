"""Columns of purposes: JSON arrays, as text."""

import json
from functools import lru_cache


@lru_cache(maxsize=1_000)
def purposes_of(text: str) -> tuple[str, ...]:
    """Decode a column of purposes. A deployment has few different ones, so they are cached."""
    return tuple(json.loads(text))
