"""Whole dialogs with 5, 50 and 500 at once: processor time each, and dialogs a second."""

from functools import partial
from statistics import median

from . import child, client
from .curve import FLAT, TIMES, Curve, grown
from .figure import Figure, Measured
from .plan import Plan, in_turn
from .side import Side

_CPU = Figure("CPU of a whole dialog: 500 at once / 5 at once", "µs", *FLAT, less_is_better=True)
_RATE = Figure("whole dialogs: 500 at once / 5 at once", "dialogs/s", 0.9, 1)

_FEW, _MESSAGES = 5, 10
_OF = ("5", "50", "500")


def measure(plan: Plan) -> list[Measured]:
    with child.ours(plan) as server:
        load = partial(client.run, plan, "load", server.port, dialogs=plan.size(1000), messages=_MESSAGES)
        sides = [Side(server, partial(load, sockets=plan.size(_FEW) * times)) for times in TIMES]
        in_turn(plan.rounds, sides)
    cpus, rates, waits = ([side.values(name) for side in sides] for name in ("cpu_us", "rate", "stored_p50"))
    plan.curves += [
        Curve("CPU of a dialog", "µs", "at once", _OF, tuple(map(median, cpus))),
        Curve("Dialogs a second", "dialogs/s", "at once", _OF, tuple(map(median, rates))),
        Curve("Consent to stored", "s", "at once", _OF, tuple(map(median, waits)), "linear"),
    ]
    return [grown(_CPU, cpus), grown(_RATE, rates)]
