"""The erasure of one dialog, durable and with the log truncated: beside one fdatasync, and at a million dialogs."""

import time
from statistics import median

import uvloop

from consentful_server.service import Service

from . import corpus
from .disk import Disk
from .figure import Figure, Measured, compare
from .plan import Plan

_SYNC = Figure("erase one of 100 dialogs / fdatasync", "s", 8, 4, less_is_better=True)
_SIZE = Figure("erase one of 1,000,000 dialogs / of 100", "s", 1.2, 1.0, less_is_better=True)

_FEW, _MANY, _COPIED = 100, 1_000_000, 1_000
_ERASED = 40
"""Of each store in each round."""


def measure(plan: Plan) -> list[Measured]:
    return uvloop.run(_measure(plan))


async def _measure(plan: Plan) -> list[Measured]:
    folders = plan.new_folder("few"), plan.new_folder("many")
    disk = Disk(folders[0])
    few: list[float] = []
    many: list[float] = []
    sync: list[float] = []
    async with corpus.opened(folders[1]) as large:
        await corpus.fill(large, "e", _COPIED, 1)
    ids = corpus.multiply(folders[1], "e", _COPIED, plan.size(_MANY) // _COPIED)
    async with corpus.opened(folders[0]) as small, corpus.opened(folders[1]) as large:
        for number in range(plan.rounds + 1):
            sync.append(disk.seconds(plan.size(300)))
            few.append(await _seconds(small, await corpus.fill(small, f"r{number}", _FEW, 1), 1))
            step = max(1, len(ids) // ((plan.rounds + 1) * plan.size(_ERASED)))
            many.append(await _seconds(large, ids[number * plan.size(_ERASED) :], step, plan.size(_ERASED)))
    disk.close()
    return [compare(_SYNC, few[1:], sync[1:]), compare(_SIZE, many[1:], few[1:])]


async def _seconds(service: Service, ids: list[str], step: int, times: int | None = None) -> float:
    """Return the median time of erasing some of these dialogs, spread over the store."""
    took: list[float] = []
    for dialog_id in ids[::step][:times]:
        began = time.perf_counter()
        await service.archive.erase(dialog_id, "requested")
        took.append(time.perf_counter() - began)
    return median(took)
