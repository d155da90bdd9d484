"""Purposes as the stores write them into a column."""

import json
from functools import lru_cache


@lru_cache(maxsize=1024)
def as_json(purposes: tuple[str, ...]) -> str:
    """Return them as a JSON array. A deployment has few combinations, and each stored dialog needs its own thrice."""
    return json.dumps(purposes)
