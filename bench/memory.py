"""What an open idle dialog with 10 messages of 100 characters costs in anonymous memory, less what the server had."""

from . import child, client
from .figure import Figure, Measured, absolute
from .plan import Plan

_FULL = Figure("memory of an open dialog, 10,000 open", "kB", 9, 6, less_is_better=True)
_HALF = Figure("memory of an open dialog, 5,000 open", "kB", 9, 6, less_is_better=True)
_ENVELOPE = len('{"type":"message","seq":1,"text":""}')


def measure(plan: Plan) -> list[Measured]:
    pairs = [_kilobytes(plan) for _ in range(max(1, plan.rounds // 2))]
    return [
        absolute(figure, list(values)) for figure, values in zip((_HALF, _FULL), zip(*pairs, strict=True), strict=True)
    ]


def _kilobytes(plan: Plan) -> tuple[float, float]:
    """Return what a dialog costs with 5,000 of them open, and with 5,000 more."""
    half = plan.size(5_000)
    more = {"messages": 10, "bytes": 100 + _ENVELOPE}
    with child.ours(plan) as server:
        with client.holding(server.port, sockets=1, **more):
            before = server.anonymous_bytes()  # with everything loaded that the first dialog loads
        with client.holding(server.port, sockets=half, **more):
            some = server.anonymous_bytes()
            with client.holding(server.port, sockets=half, **more):
                all_ = server.anonymous_bytes()
    return max(1, some - before) / half / 1000, max(1, all_ - before) / (2 * half) / 1000
