"""Two workers beside one: the processes share the port and the store, and all cores, which the client takes part of."""

from contextlib import ExitStack
from functools import partial

from . import child, client, postgres
from .figure import Figure, Measured
from .ingest import NO_LIMITS, load
from .plan import CLIENT_CORE, SERVER_CORE, Plan, in_turn
from .side import Side, faced

_INGEST = Figure("two workers / one: ingest, 64 in flight", "messages/s", 1.6, 1.9)
_DIALOGS = Figure("two workers / one: whole dialogs", "dialogs/s", 1.3, 1.7)
_ON_POSTGRES = Figure("two workers / one on PostgreSQL: whole dialogs", "dialogs/s")

_CORES = frozenset({SERVER_CORE, CLIENT_CORE})
_MESSAGES = 10
_IN_FLIGHT = 64
"""Messages of one dialog. With few of them the client takes as much of the cores as a worker does."""


def measure(plan: Plan) -> list[Measured]:
    start = partial(child.ours, plan, *NO_LIMITS, cores=_CORES)
    with postgres.started(plan, _CORES) as database, ExitStack() as servers:
        two, one = (servers.enter_context(start(workers=workers)) for workers in (2, 1))
        on_postgres = [
            servers.enter_context(
                child.ours(
                    plan, *NO_LIMITS, "--database", postgres.new_database(database, name), cores=_CORES, workers=workers
                )
            )
            for name, workers in (("two", 2), ("one", 1))
        ]
        options = {"sockets": plan.size(50), "dialogs": plan.size(1500), "messages": _MESSAGES, "window": _MESSAGES}
        whole, there = (
            [Side(server, partial(client.run, plan, "load", server.port, **options)) for server in pair]
            for pair in ((two, one), on_postgres)
        )
        ingest = [Side(server, load(plan, server.port, _IN_FLIGHT), "messages") for server in (two, one)]
        in_turn(plan.rounds, [*whole, *there, *ingest])
    return [faced(_INGEST, *ingest), faced(_DIALOGS, *whole), faced(_ON_POSTGRES, *there)]
