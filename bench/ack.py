"""How long an ack takes among many open dialogs that speak now and then, beside few that speak as much together."""

from functools import partial

from . import child, client
from .child import Child
from .figure import Figure, Measured, compare
from .plan import Plan, in_turn

_P99 = Figure("ack: p99 with 2,000 open / with 100 open", "s", 5, 2, less_is_better=True)

_MANY, _FEW = 2_000, 100
_EVERY_S = 10.0
_SECONDS = 3.0


def measure(plan: Plan) -> list[Measured]:
    with child.ours(plan) as server:
        every = _EVERY_S * min(1, plan.scale)
        many = partial(_p99, plan, server, plan.size(_MANY, least=20), every)
        few = partial(_p99, plan, server, plan.size(_FEW), every * _FEW / _MANY)
        return [compare(_P99, *in_turn(plan.rounds, [many, few]))]


def _p99(plan: Plan, server: Child, sockets: int, every: float) -> float:
    result = client.run(plan, "load", server.port, sockets=sockets, every=every, seconds=plan.seconds(_SECONDS))
    return result["ack_p99"]
