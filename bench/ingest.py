"""Messages a second that are decoded, held and acked: 200 dialogs, 64 frames of 120 bytes in flight each, and 1."""

from functools import partial

from . import child, client
from .figure import Figure, Measured
from .plan import Plan, in_turn
from .side import Load, Side, faced

_MANY = Figure("ingest, 64 in flight: ours / picows", "messages/s", 0.75, 0.95)
_ONE = Figure("ingest, 1 in flight: ours / picows", "messages/s", 0.8, 1.0)

_SOCKETS = 200
_BYTES = 120
_SECONDS = 1.5
NO_LIMITS = ("--max-messages", "10000000", "--max-dialog-bytes", "4000000000", "--memory", "16000000000")
"""Or a dialog would be full before it was measured; each message is still counted against them."""


def measure(plan: Plan) -> list[Measured]:
    rows: list[Measured] = []
    with child.ours(plan, *NO_LIMITS) as ours, child.start("bench.peers.frames") as peer:
        for figure, window in ((_MANY, 64), (_ONE, 1)):
            sides = [Side(server, load(plan, server.port, window), "messages") for server in (ours, peer)]
            in_turn(plan.rounds, sides)
            rows.append(faced(figure, *sides))
    return rows


def load(plan: Plan, port: int, window: int) -> Load:
    """Return a load of dialogs that never end, with so many messages in flight each."""
    sockets, seconds = plan.size(_SOCKETS), plan.seconds(_SECONDS)
    options = {"sockets": sockets, "window": window, "bytes": _BYTES, "seconds": seconds, "together": 1}
    return partial(client.run, plan, "load", port, **options)
