"""What open idle dialogs with 10 messages of 100 characters each cost in anonymous memory, less what the server had."""

from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from . import child, client
from .child import Child
from .curve import TIMES, Curve
from .figure import Figure, Measured, absolute
from .plan import Plan

_EACH = Figure("memory of an open dialog, 10,000 open", "kB", 9, 6, less_is_better=True)

_FEW = 100
_OF = ("100", "1k", "10k")
_ENVELOPE = len('{"type":"message","seq":1,"text":""}')
SPOKEN = {"messages": 10, "bytes": 100 + _ENVELOPE}
"""What each dialog has said."""


def measure(plan: Plan) -> list[Measured]:
    rounds = [_megabytes(plan) for _ in range(max(1, plan.rounds // 2))]
    totals = list(zip(*rounds, strict=True))
    plan.curves.append(Curve("Memory of dialogs", "MB", "open", _OF, tuple(map(median, totals)), "linear"))
    most = plan.size(_FEW) * TIMES[-1]
    return [absolute(_EACH, [total * 1000 / most for total in totals[-1]])]


def _megabytes(plan: Plan) -> list[float]:
    """Return what 100, 1,000 and 10,000 open dialogs cost."""
    with child.ours(plan) as server, ExitStack() as clients:
        with client.holding(server.port, sockets=1, **SPOKEN):
            before = server.anonymous_bytes()  # with everything loaded that the first dialog loads
        return [max(1, after - before) / 1e6 for after in _grown(server, clients, plan.size(_FEW))]


def _grown(server: Child, clients: ExitStack, few: int) -> Iterator[int]:
    """Yield the server's memory with so many dialogs open, then 10 and 100 times as many."""
    held = 0
    for times in TIMES:
        clients.enter_context(client.holding(server.port, sockets=few * times - held, **SPOKEN))
        held = few * times
        yield server.anonymous_bytes()
