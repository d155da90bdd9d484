"""Messages a second that are decoded, held and acked: 200 dialogs, 64 frames of 120 bytes in flight each, and 1."""

from functools import partial

from . import child, client
from .child import Child
from .figure import Figure, Measured, compare
from .plan import Plan, in_turn

_MANY = Figure("ingest, 64 in flight: ours / picows", "messages/s", 0.75, 1.0)
_ONE = Figure("ingest, 1 in flight: ours / picows", "messages/s", 0.78, 0.95)

_SOCKETS = 200
_BYTES = 120
_SECONDS = 1.5
NO_LIMITS = ("--max-messages", "10000000", "--max-dialog-bytes", "4000000000", "--memory", "16000000000")
"""Or a dialog would be full before it was measured; each message is still counted against them."""


def measure(plan: Plan) -> list[Measured]:
    with child.ours(plan, *NO_LIMITS) as ours, child.start("bench.peers.frames") as peer:
        return [
            compare(figure, *in_turn(plan.rounds, [partial(_rate, plan, server, window) for server in (ours, peer)]))
            for figure, window in ((_MANY, 64), (_ONE, 1))
        ]


def _rate(plan: Plan, server: Child, window: int) -> float:
    sockets, seconds = plan.size(_SOCKETS), plan.seconds(_SECONDS)
    result = client.run(
        plan, "load", server.port, sockets=sockets, window=window, bytes=_BYTES, seconds=seconds, together=1
    )
    return result["messages"] / result["seconds"]
