"""50,000 dialogs open at once, each speaking every 10 s: what one costs in memory, and how long its acks take.

A process may have 20,000 files open where this was written, so three workers and three clients share the dialogs. The
clients come from 16 addresses. All workers are on the server's core.
"""

from functools import partial

from . import child, client
from .crowd import crowd
from .figure import Figure, Measured, absolute, compare
from .memory import SPOKEN
from .plan import Plan, in_turn

_MEMORY = Figure("memory of an open dialog, 50,000 open and speaking", "kB", 9, 6, less_is_better=True)
_P99 = Figure("ack: p99 with 50,000 open / with 500 open", "s", 5, 2, less_is_better=True)

_SHARES = 3
_MANY, _FEW = 50_000, 500
_EVERY_S = 10.0
_ONE_CLIENT = ("--dialogs-per-client", str(2 * _MANY))
"""All come with one credential here, as those of many chatbots do not."""


def measure(plan: Plan) -> list[Measured]:
    many, few = plan.size(_MANY, least=60), plan.size(_FEW, least=6)
    every = _EVERY_S * min(1, plan.scale)
    start = partial(child.ours, plan, *_ONE_CLIENT, workers=_SHARES)
    before = _bytes_at_first(plan)
    with (
        crowd(start(), many, every, clients=_SHARES) as large,
        crowd(start(), few, every * few / many, clients=_SHARES) as small,
    ):
        p99 = in_turn(plan.rounds, [partial(side.p99, plan) for side in (large, small)])
        memory = max(1, large.server.anonymous_bytes() - before) / many / 1000
    return [absolute(_MEMORY, [memory]), compare(_P99, *p99)]


def _bytes_at_first(plan: Plan) -> int:
    """Return the memory of a server of as many workers, with everything loaded that the first dialogs load."""
    with (
        child.ours(plan, workers=_SHARES) as server,
        client.holding(server.port, sockets=10 * _SHARES, **SPOKEN),
    ):
        return server.anonymous_bytes()
