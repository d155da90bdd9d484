"""Measures that nobody counts as they happen: the space of the disks, and how late retention and requests are."""

import asyncio
import math
import shutil
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from ..clock import from_micros
from ..privacy.store import PrivacyRequest
from ..service import Service
from ..telemetry.metrics import Metrics

_DUE: Final = (timedelta(0), timedelta(days=1), timedelta(days=7))
_WITHIN: Final = ("overdue", "1d", "7d", "later")
"""The names of the times until a request is due: up to each of `_DUE`, and beyond the last."""


async def measure_disks(service: Service) -> None:
    """Publish the space of the disks that hold the data and the keys. Raises OSError if a folder is gone."""
    for name, path in service.folders.items():
        usage = await asyncio.to_thread(shutil.disk_usage, path)
        service.metrics.disk_free.labels(name).set(usage.free)
        service.metrics.disk_size.labels(name).set(usage.total)


async def measure_retention(service: Service) -> None:
    """Publish for how long a dialog has been stored that is expired."""
    first = await service.store.dialogs.first_expiry()
    late = 0.0 if first is None else (service.clock.now() - from_micros(first)).total_seconds()
    service.metrics.retention_lag.set(max(0.0, late))


def show_pending(metrics: Metrics, pending: Sequence[PrivacyRequest], now: datetime) -> None:
    """Publish how many requests are pending, and when they are due (GDPR art. 12(3))."""
    left = [request.due - now for request in pending]
    metrics.pending.set(len(left))
    metrics.due.set(min((each.total_seconds() for each in left), default=math.inf))
    within = Counter(_WITHIN[bisect_left(_DUE, each)] for each in left)
    for name in _WITHIN:
        metrics.due_within.labels(name).set(within[name])
