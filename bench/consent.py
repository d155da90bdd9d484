"""From a granted consent to `stored`: with few dialogs at once, beside what it was; with many, beside one fdatasync."""

from functools import partial

from . import child, client
from .child import Child
from .disk import Disk
from .figure import Figure, Measured, absolute, compare
from .plan import Plan, in_turn

_BEFORE_S = {4: 2.6e-3, 1: 0.88e-3}
"""The p50 of 2026-11-25 on two cores, with so many dialogs at once: before dialogs were stored by batches."""
_FOUR = Figure("consent to stored: p50, 4 at once / before batches", "s", 0.65, 0.5, less_is_better=True)
_ONE = Figure("consent to stored: p50, 1 at once / before batches", "s", 0.9, 0.7, less_is_better=True)
_P50 = Figure("consent to stored: p50, 50 at once / fdatasync", "s")
_P99 = Figure("consent to stored: p99, 50 at once / fdatasync", "s")
_PACED = Figure("consent to stored: p50, 300 dialogs/s", "s")
_MESSAGES = 10
_A_SECOND = 300


def measure(plan: Plan) -> list[Measured]:
    disk = Disk(plan.new_folder("disk"))
    p99: list[float] = []
    with child.ours(plan) as server:

        def full() -> float:
            result = _run(plan, server, sockets=plan.size(50), dialogs=plan.size(800))
            p99.append(result["stored_p99"])
            return result["stored_p50"]

        def paced() -> float:
            return _run(plan, server, sockets=500, dialogs=plan.size(500), rate=_A_SECOND)["stored_p50"]

        few = [partial(_p50, plan, server, at_once) for at_once in _BEFORE_S]
        sync = partial(disk.seconds, plan.size(300))
        at_full, at_pace, four, one, syncs = in_turn(plan.rounds, [full, paced, *few, sync])
    disk.close()
    return [
        *(
            compare(figure, now, [before] * len(now))
            for figure, now, before in zip((_FOUR, _ONE), (four, one), _BEFORE_S.values(), strict=True)
        ),
        compare(_P50, at_full, syncs),
        compare(_P99, p99[1:], syncs),
        absolute(_PACED, at_pace),
    ]


def _p50(plan: Plan, server: Child, at_once: int) -> float:
    return _run(plan, server, sockets=at_once, dialogs=plan.size(200 * at_once))["stored_p50"]


def _run(plan: Plan, server: Child, **options: float) -> dict[str, float]:
    return client.run(plan, "load", server.port, messages=_MESSAGES, **options)
