"""The store alone, beside fdatasync: dialogs that are sealed already, kept one after the other and 100 at once."""

import asyncio
import time
from collections.abc import Sequence
from itertools import count

import uvloop

from consentful_server.archive.store import Candidate, StoredDialog
from consentful_server.service import Service

from . import corpus
from .disk import Disk
from .figure import Figure, Measured, compare
from .plan import Plan

_ONE = Figure("store: dialogs in batches of 1 / fdatasyncs", "1/s", 0.5, 0.8)
_HUNDRED = Figure("store: dialogs in batches of 100 / fdatasyncs", "1/s", 3, 6)
_MESSAGES = 10
_ids = count()


class _Caught(Exception):  # noqa: N818
    """The store was about to be asked."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate


class _Catcher:
    """Stands in for the store, to get at what the archive would hand it."""

    async def keep(self, candidate: Candidate) -> StoredDialog:
        raise _Caught(candidate)


def measure(plan: Plan) -> list[Measured]:
    return uvloop.run(_measure(plan))


async def _measure(plan: Plan) -> list[Measured]:
    folder = plan.new_folder("store")
    disk = Disk(folder)
    ones: list[float] = []
    hundreds: list[float] = []
    syncs: list[float] = []
    async with corpus.opened(folder) as service:
        for _ in range(plan.rounds + 1):
            ones.append(await _rate(service, plan.size(200), 1))
            syncs.append(disk.rate(plan.size(1000)))
            hundreds.append(await _rate(service, plan.size(2000, least=100), 100))
    disk.close()
    return [compare(_ONE, ones[1:], syncs[1:]), compare(_HUNDRED, hundreds[1:], syncs[1:])]


async def _rate(service: Service, dialogs: int, at_once: int) -> float:
    candidates = [await _sealed(service) for _ in range(dialogs)]
    began = time.perf_counter()
    for start in range(0, dialogs, at_once):
        await _keep(service, candidates[start : start + at_once])
    return dialogs / (time.perf_counter() - began)


async def _keep(service: Service, candidates: Sequence[Candidate]) -> None:
    await asyncio.gather(*(service.store.dialogs.keep(candidate) for candidate in candidates))


async def _sealed(service: Service) -> Candidate:
    """Return what the archive hands the store for a new dialog."""
    dialog, granted = corpus.grant(service, f"s-{next(_ids)}", _MESSAGES)
    store = service.archive._store  # pyright: ignore[reportPrivateUsage]
    service.archive._store = _Catcher()  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    try:
        await service.archive.keep(dialog, granted, owner="local", channel="websocket")
    except _Caught as caught:
        return caught.candidate
    finally:
        service.archive._store = store  # pyright: ignore[reportPrivateUsage]
    raise AssertionError("the archive did not ask the store")
