"""Stored data at 1, 10 and 100 times: 10,000, 100,000 and 1,000,000 messages, each in a store of its own.

A page, statistics and an erasure cost the same at any size; a search of all texts and an export grow with what they
read, in constant memory.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.request import Request, urlopen

import uvloop

from consentful_server.service import Service

from . import child, corpus
from .child import Child
from .curve import FLAT, LINEAR, TIMES, Curve, grown
from .export import rows_of
from .figure import Figure, Measured, absolute
from .page import get, p50
from .plan import Plan, in_turn

_PAGE = Figure("page of 100 newest: 1,000,000 messages / 10,000", "s", *FLAT, less_is_better=True)
_RARE = Figure("page by a rare language: 1,000,000 messages / 10,000", "s", *FLAT, less_is_better=True)
_STATS = Figure("statistics by day: 1,000,000 messages / 10,000", "s", *FLAT, less_is_better=True)
_ERASE = Figure("erase one dialog: 1,000,000 messages / 10,000", "s", *FLAT, less_is_better=True)
_SEARCH = Figure("search all texts: 1,000,000 messages / 10,000", "s", *LINEAR, less_is_better=True)
_EXPORT = Figure("export everything: 1,000,000 messages / 10,000", "s", *LINEAR, less_is_better=True)
_EXTRA = Figure("export: extra memory, 1,000,000 rows", "MB", 10, 4, less_is_better=True)
_EXTRAS = Figure("export: extra memory, 1,000,000 rows / 10,000", "MB", 1.2, 1, less_is_better=True)

_DIALOGS = 1_000
_OF = ("10k", "100k", "1M")
_RARE_PATH = "/v1/messages?limit=100&language=is"
_ERASED = 20
"""Of each store in each round."""
_LOOK_S = 0.002


class _Store(NamedTuple):
    """A folder, and how many messages are stored in it."""

    folder: Path
    rows: int


def measure(plan: Plan) -> list[Measured]:
    dialogs = plan.size(_DIALOGS, least=10)
    stores = [_filled(plan, dialogs * times) for times in TIMES]
    return [*_reading(plan, stores), *_exporting(plan, stores), *_erasing(plan, stores, dialogs)]


def _filled(plan: Plan, dialogs: int) -> _Store:
    folder = plan.new_folder(f"{dialogs}-dialogs")
    uvloop.run(_fill(folder, dialogs))
    return _Store(folder, 5 + 10 * dialogs)  # 5 are rare


async def _fill(folder: Path, dialogs: int) -> None:
    async with corpus.opened(folder) as service:
        await corpus.fill_mixed(service, dialogs)


def _reading(plan: Plan, stores: Sequence[_Store]) -> list[Measured]:
    with ExitStack() as running:
        servers = [running.enter_context(child.on_folder(corpus.places(store.folder))) for store in stores]
        pages = {
            _PAGE: ("Page of 100 newest", "/v1/messages?limit=100"),
            _RARE: ("Page, rare filter", _RARE_PATH),
            _STATS: ("Statistics", "/v1/stats"),
        }
        rows = [
            _drawn(plan, figure, title, in_turn(plan.rounds, [partial(p50, plan, server, path) for server in servers]))
            for figure, (title, path) in pages.items()
        ]
        searches = [partial(_search_s, server) for server in servers]
        searched = in_turn(max(1, plan.rounds // 2), searches, thrown_away=0)
    return [*rows, _drawn(plan, _SEARCH, "Search all texts", searched)]


def _search_s(server: Child) -> float:
    """Return how long it takes to search every text for what is in none, page by page."""
    began = time.perf_counter()
    cursor: str | None = None
    while True:
        asked = {"q": "nowhere to be found", "limit": 100} | ({"cursor": cursor} if cursor else {})
        cursor = _post(server, asked)["next"]
        if cursor is None:
            return time.perf_counter() - began


def _post(server: Child, body: Mapping[str, object]) -> dict[str, str | None]:
    url = f"http://127.0.0.1:{server.port}/v1/messages/search"
    asked = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(asked, timeout=30) as answer:
        return json.loads(answer.read())


def _exporting(plan: Plan, stores: Sequence[_Store]) -> list[Measured]:
    """Export each store from a fresh server, several times: what it takes, and what memory it takes."""
    exports = [_Export(store) for store in stores]
    took = in_turn(max(1, plan.rounds // 2), exports, thrown_away=0)
    extra = [export.extra_mb for export in exports]
    _drawn(plan, _EXTRA, "Export: memory", extra)
    return [
        _drawn(plan, _EXPORT, "Export: time", took),
        absolute(_EXTRA, extra[-1]),
        grown(_EXTRAS, extra),
    ]


class _Export:
    """Exports a store; returns the seconds, and keeps the MB by which the server's memory grew at most meanwhile."""

    def __init__(self, store: _Store) -> None:
        self._store = store
        self.extra_mb: list[float] = []

    def __call__(self) -> float:
        with child.on_folder(corpus.places(self._store.folder)) as server:
            _warm(server)
            before = server.anonymous_bytes()
            began = time.perf_counter()
            most = _most_while(server, partial(self._export, server))
            took = time.perf_counter() - began
        self.extra_mb.append(max(most - before, 4096) / 1e6)
        return took

    def _export(self, server: Child) -> None:
        if (lines := rows_of(server)) != self._store.rows:
            raise RuntimeError(f"{lines} rows instead of {self._store.rows}")


def _most_while(server: Child, work: Callable[[], None]) -> int:
    """Return the most memory that the server had while this was done."""
    most = 0
    working = threading.Thread(target=work)
    working.start()
    while working.is_alive():
        most = max(most, server.anonymous_bytes())
        working.join(_LOOK_S)
    return most


def _warm(server: Child) -> None:
    """Read a first page, and wait until the server has looked after everything for the first time."""
    get(server, "/v1/messages?limit=1000")
    while b"consentful_access_log_entries 0" in get(server, "/metrics"):
        time.sleep(_LOOK_S)


def _erasing(plan: Plan, stores: Sequence[_Store], dialogs: int) -> list[Measured]:
    counts = [dialogs * times for times in TIMES]
    return [_drawn(plan, _ERASE, "Erase a dialog", uvloop.run(_erase(plan, stores, counts)))]


async def _erase(plan: Plan, stores: Sequence[_Store], counts: Sequence[int]) -> list[list[float]]:
    each = min(_ERASED, counts[0] // (plan.rounds + 1))
    took: list[list[float]] = [[] for _ in stores]
    async with AsyncExitStack() as opened:
        services = [await opened.enter_async_context(corpus.opened(store.folder)) for store in stores]
        for number in range(plan.rounds + 1):
            for service, count, values in zip(services, counts, took, strict=True):
                step = count // ((plan.rounds + 1) * each)
                values.append(await _erase_some(service, range(number * step, count, (plan.rounds + 1) * step)))
    return [values[1:] for values in took]


async def _erase_some(service: Service, numbers: Sequence[int]) -> float:
    """Return the median time of erasing these of the common dialogs."""
    took: list[float] = []
    for number in numbers:
        began = time.perf_counter()
        await service.archive.erase(f"common-{number}", "requested")
        took.append(time.perf_counter() - began)
    return median(took)


def _drawn(plan: Plan, figure: Figure, title: str, sizes: Sequence[Sequence[float]]) -> Measured:
    """Add the curve of these sizes to the plot, and return the row of the largest beside the smallest."""
    shape = "linear" if figure in (_SEARCH, _EXPORT) else "flat"
    plan.curves.append(Curve(title, figure.unit, "messages", _OF, tuple(map(median, sizes)), shape))
    return grown(figure, sizes)
