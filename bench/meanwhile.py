"""Consent while others read: its p99 with three exports running, beside without."""

import threading
from functools import partial
from pathlib import Path

import uvloop

from . import child, client, corpus
from .export import stream
from .figure import Figure, Measured, compare
from .plan import Plan, in_turn

_P99 = Figure("consent p99: while three exports run / without", "s", 2, 1.3, less_is_better=True)
_P50 = Figure("consent p50: while three exports run / without", "s", less_is_better=True)

_EXPORTS = 3
_KEPT, _MESSAGES = 10_000, 10
_A_SECOND = 100


class _Readers:
    """Threads that export again and again, until they are told to stop."""

    def __init__(self, port: int, count: int) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(port,)) for _ in range(count)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _read(self, port: int) -> None:
        while not self._stop.is_set():
            stream(port, "ndjson")


def measure(plan: Plan) -> list[Measured]:
    folder = plan.new_folder("meanwhile")
    uvloop.run(_fill(plan, folder))
    with child.on_folder(corpus.places(folder)) as server:
        sides = [_Side(plan, server.port, exports) for exports in (_EXPORTS, 0)]
        in_turn(plan.rounds, sides)
    busy, quiet = sides
    return [compare(_P99, busy.p99[1:], quiet.p99[1:]), compare(_P50, busy.p50[1:], quiet.p50[1:])]


class _Side:
    def __init__(self, plan: Plan, port: int, exports: int) -> None:
        self._load = partial(
            client.run, plan, "load", port, sockets=100, dialogs=plan.size(400), messages=_MESSAGES, rate=_A_SECOND
        )
        self._port = port
        self._exports = exports
        self.p50: list[float] = []
        self.p99: list[float] = []

    def __call__(self) -> float:
        with _Readers(self._port, self._exports):
            result = self._load()
        self.p50.append(result["stored_p50"])
        self.p99.append(result["stored_p99"])
        return result["stored_p99"]


async def _fill(plan: Plan, folder: Path) -> None:
    async with corpus.opened(folder) as service:
        await corpus.fill(service, "m", plan.size(_KEPT), _MESSAGES)
