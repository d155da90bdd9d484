"""The erasure of one dialog, durable and with the log truncated: beside one fdatasync, and at a million dialogs."""

import asyncio
import time
from collections.abc import Sequence
from statistics import median
from typing import TypeAlias

import uvloop

from consentful_server.service import Service

from . import corpus
from .disk import Disk
from .figure import Figure, Measured, compare
from .plan import Plan

_SYNC = Figure("erase one of 100 dialogs / fdatasync", "s", 8, 4, less_is_better=True)
_SIZE = Figure("erase one of 1,000,000 dialogs / of 100", "s", 1.2, 1.0, less_is_better=True)

_Round: TypeAlias = tuple[float, float, float]

_FEW, _MANY, _COPIED = 100, 1_000_000, 1_000
_ERASED = 40
"""Of each store in each round."""


def measure(plan: Plan) -> list[Measured]:
    return uvloop.run(_measure(plan))


async def _measure(plan: Plan) -> list[Measured]:
    folders = plan.new_folder("few"), plan.new_folder("many")
    disk = Disk(folders[0])
    async with corpus.opened(folders[1]) as large:
        await corpus.fill(large, "e", _COPIED, 1)
    copies = corpus.multiply(folders[1], "e", _COPIED, plan.size(_MANY) // _COPIED)
    each = plan.size(_ERASED)
    spread = copies[:: max(1, len(copies) // ((plan.rounds + 1) * each))]
    rounds: list[_Round] = []
    async with corpus.opened(folders[0]) as small, corpus.opened(folders[1]) as large:
        for number in range(plan.rounds + 1):
            few = await corpus.fill(small, f"r{number}", _FEW, 1)
            many = spread[number * each : (number + 1) * each]
            rounds.append(await _round(small, few[:each], large, many, disk))
            await asyncio.gather(*(_erase_s(small, dialog_id) for dialog_id in few[each:]))  # so that it stays small
    disk.close()
    sync, few_s, many_s = zip(*rounds[1:], strict=True)
    return [compare(_SYNC, few_s, sync), compare(_SIZE, many_s, few_s)]


async def _round(small: Service, few: Sequence[str], large: Service, many: Sequence[str], disk: Disk) -> _Round:
    """Return the median times of one page made durable, of an erasure from few dialogs, and of one from many.

    One of each in turn: others write to the disk as well, and what they write slows down all three alike.
    """
    syncs: list[float] = []
    smalls: list[float] = []
    larges: list[float] = []
    for of_few, of_many in zip(few, many, strict=False):
        syncs.append(disk.seconds(1))
        smalls.append(await _erase_s(small, of_few))
        larges.append(await _erase_s(large, of_many))
    return median(syncs), median(smalls), median(larges)


async def _erase_s(service: Service, dialog_id: str) -> float:
    began = time.perf_counter()
    await service.archive.erase(dialog_id, "requested")
    return time.perf_counter() - began
