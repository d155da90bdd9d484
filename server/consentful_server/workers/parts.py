"""Which parts of a worker are ready, as workers tell each other. Pure."""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """Why a part is not ready: the code of a refusal, and of background work the names of what fails."""

    code: str
    chores: tuple[str, ...] = ()


Parts: TypeAlias = dict[str, Fault | None]
"""The fault of each part; None of one that is ready."""


def joined(workers: Iterable[Parts]) -> Parts:
    """Return the parts of several workers as those of one: a part is ready if it is in all of them."""
    found: Parts = {}
    for parts in workers:
        for name, fault in parts.items():
            found[name] = found.get(name) or fault
    return found
