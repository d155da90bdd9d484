"""A page of every filter, of rare and of common values: at 3,000,000 messages beside 300,000.

What is measured is the time of the processor, because the entry in the access log waits for the disk.
"""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop

from consentful_server.archive.query import Filter, Order
from consentful_server.auth.read_scope import ReadScope
from consentful_server.edges.http import paging
from consentful_server.service import Service

from . import corpus
from .figure import Figure, Measured, compare
from .plan import Plan

_MOST: Final = 1.3
_DIALOGS, _MESSAGES = 30_000, 10
_TIMES: Final = 10
_RECENT: Final = 1_000
_PAGES: Final = 20


def _figure(name: str) -> Figure:
    return Figure(f"{name}: page at ten times the store / at once", "s", _MOST, 1.1, less_is_better=True)


_VALUES: Final[Mapping[str, tuple[dict[str, Any], tuple[str, ...] | None]]] = {
    "no filter": ({}, None),
    "rare language": ({"language": "is"}, None),
    "common language": ({"language": "en"}, None),
    "rare role": ({"role": "agent"}, None),
    "common role": ({"role": "customer"}, None),
    "rare bot": ({"bot": "rare"}, None),
    "common bot": ({"bot": "common"}, None),
    "rare purpose": ({"purpose": "rare"}, None),
    "common purpose": ({"purpose": "common"}, None),
    "rare credential": ({}, ("rare",)),
    "common credential": ({}, ("common",)),
    "rare customer": ({"customer": "rare"}, None),
    "common customer": ({"customer": "common"}, None),
    "nothing": ({"role": "agent", "bot": "common"}, None),
}
FIGURES: Final = {name: _figure(name) for name in _VALUES}
RARE: Final = Figure("page by a rare filter / without, 3,000,000 messages", "s", _MOST, 1.1, less_is_better=True)
DIALOGS: Final = Figure(
    "dialogs, no filter: page at ten times the store / at once", "s", _MOST, 1.1, less_is_better=True
)


def measure(plan: Plan) -> list[Measured]:
    return uvloop.run(_measure(plan))


async def _measure(plan: Plan) -> list[Measured]:
    dialogs = plan.size(_DIALOGS, _RECENT // 50)
    folders = [plan.new_folder(f"filters-{size}") for size in ("small", "large")]
    for folder, times in zip(folders, (1, _TIMES), strict=True):
        await _fill(folder, min(_RECENT, dialogs), dialogs * times)
    async with corpus.opened(folders[0]) as small, corpus.opened(folders[1]) as large:
        sides = {name: await _sides(plan, large, small, *_VALUES[name]) for name in _VALUES}
        dialogs = await _sides(plan, large, small, {}, None, is_dialogs=True)
    rare = [sides[name][0] for name in _VALUES if name.startswith("rare")]
    slowest = [max(values) for values in zip(*rare, strict=True)]
    rows = [compare(FIGURES[name], *sides[name]) for name in _VALUES]
    return [compare(RARE, slowest, sides["no filter"][0]), *rows, compare(DIALOGS, *dialogs)]


async def _fill(folder: Path, recent: int, dialogs: int) -> None:
    """Fill a store: some rare dialogs, then common ones, before both as many copies of common ones as there is room."""
    async with corpus.opened(folder) as service:
        await corpus.fill_mixed(service, recent)
    corpus.bury(folder, dialogs)


async def _sides(
    plan: Plan,
    large: Service,
    small: Service,
    values: dict[str, Any],
    purposes: tuple[str, ...] | None,
    *,
    is_dialogs: bool = False,
) -> list[list[float]]:
    """Return the times of both stores, the large one's first, measured in turn."""
    sides: list[list[float]] = [[], []]
    for _ in range(plan.rounds + 1):
        for side, service in zip(sides, (large, small), strict=True):
            side.append(await _p50(service, is_dialogs, values, ReadScope(purposes)))
    return [side[1:] for side in sides]


async def _p50(service: Service, is_dialogs: bool, values: dict[str, Any], scope: ReadScope) -> float:
    if "customer" in values:
        values = values | {"customer": service.archive.pseudonym(values["customer"])}
    order: Order = "newest"
    read = service.pages.dialogs if is_dialogs else partial(service.pages.messages, view=paging.encoded)
    took: list[float] = []
    for _ in range(_PAGES):
        began = time.process_time()
        await read(Filter(**values), scope, order=order, limit=100)
        took.append(time.process_time() - began)
    return median(took)
