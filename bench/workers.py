"""Two workers beside one: the processes share the port and the store, and all cores, which the client takes part of."""

from functools import partial

from . import child, client
from .figure import Figure, Measured
from .ingest import NO_LIMITS, load
from .plan import CLIENT_CORE, SERVER_CORE, Plan, in_turn
from .side import Side, faced

_INGEST = Figure("two workers / one: ingest, 1 in flight", "messages/s", 1.6, 1.9)
_DIALOGS = Figure("two workers / one: whole dialogs", "dialogs/s", 1.3, 1.7)

_CORES = frozenset({SERVER_CORE, CLIENT_CORE})
_MESSAGES = 10


def measure(plan: Plan) -> list[Measured]:
    start = partial(child.ours, plan, *NO_LIMITS, cores=_CORES)
    with start(workers=2) as two, start(workers=1) as one:
        dialogs = {"sockets": plan.size(50), "dialogs": plan.size(1500), "messages": _MESSAGES}
        whole = [Side(server, partial(client.run, plan, "load", server.port, **dialogs)) for server in (two, one)]
        ingest = [Side(server, load(plan, server.port, 1), "messages") for server in (two, one)]
        in_turn(plan.rounds, [*whole, *ingest])
    return [faced(_INGEST, *ingest), faced(_DIALOGS, *whole)]
