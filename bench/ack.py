"""How long acks take with 100, 1,000 and 10,000 dialogs open, of which the most speak every 10 s each.

However many are open, as much is said together: what is measured is what it costs that others are open.
"""

from contextlib import ExitStack
from functools import partial
from statistics import median

from . import child
from .crowd import crowd
from .curve import TIMES, Curve, grown
from .figure import Figure, Measured
from .plan import Plan, in_turn

_P99 = Figure("ack: p99 with 10,000 open / with 100 open", "s", 5, 2, less_is_better=True)

_FEW, _EVERY_S = 100, 0.1
_OF = ("100", "1k", "10k")


def measure(plan: Plan) -> list[Measured]:
    few, every = plan.size(_FEW), _EVERY_S * min(1, plan.scale)
    with ExitStack() as running:
        sides = [running.enter_context(crowd(child.ours(plan), few * times, every * times)) for times in TIMES]
        p99 = in_turn(plan.rounds, [partial(side.p99, plan) for side in sides])
    plan.curves.append(Curve("Ack, p99", "s", "open", _OF, tuple(map(median, p99))))
    return [grown(_P99, p99)]
