"""PostgreSQL beside SQLite, on one machine: whole dialogs, consent, and a page of the 100 newest, all over HTTP.

The database server may use every core, as the system gives them: it has a share of both that the client and ours have.
"""

import asyncio
import os
import sys
from collections.abc import Generator, Set
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from . import child, client, corpus
from .child import ROOT, Child
from .figure import Figure, Measured, compare
from .page import p50
from .plan import Plan, in_turn
from .side import Side, faced

sys.path.append(str(ROOT / "tests"))  # they know how to start a server from a wheel, as root too
import postgres_server

_DIALOGS = Figure("PostgreSQL / SQLite: whole dialogs", "dialogs/s", 0.5, 0.9)
_P99 = Figure("PostgreSQL / SQLite: consent to stored, p99, 50 at once", "s", less_is_better=True)
_ONE = Figure("PostgreSQL / SQLite: consent to stored, p50, 1 at once", "s", less_is_better=True)
_PAGE = Figure("PostgreSQL / SQLite: pages of 100 a second", "pages/s", 0.5, 1)

_SETTINGS: Final = {"listen_addresses": "", "shared_buffers": "256MB", "max_wal_size": "1GB"}
_AT_ONCE, _MESSAGES, _STORED = 50, 10, 10_000
_PATH = "/v1/messages?limit=100"


@contextmanager
def started(plan: Plan, cores: Set[int]) -> Generator[postgres_server.PostgresServer]:
    """Run a new server on the disk that is measured until the block ends; it may use these cores."""
    plan.folder.chmod(0o711)  # as root, it is run by another user, who must get to its folder
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        running = postgres_server.start(plan.new_folder("postgres"), _SETTINGS)
    finally:
        os.sched_setaffinity(0, mine)
    try:
        yield running
    finally:
        running.stop()


def new_database(running: postgres_server.PostgresServer, name: str) -> str:
    """Return the URL of a new database."""
    asyncio.run(running.run(f"CREATE DATABASE {name}"))
    return running.url(name)


def measure(plan: Plan) -> list[Measured]:
    with started(plan, os.sched_getaffinity(0)) as running, ExitStack() as servers:
        both = [_served(plan, servers, new_database(running, "bench")), _served(plan, servers, "")]
        options = {"sockets": plan.size(_AT_ONCE), "dialogs": plan.size(1000), "messages": _MESSAGES, "bytes": 120}
        whole = [Side(server, partial(client.run, plan, "load", server.port, **options)) for server in both]
        one = [partial(_consent, plan, server) for server in both]
        page = [partial(_pages, plan, server) for server in both]
        values = in_turn(plan.rounds, [*whole, *one, *page])
    ours, peer = whole
    return [
        faced(_DIALOGS, ours, peer),
        compare(_P99, ours.values("stored_p99"), peer.values("stored_p99")),
        compare(_ONE, values[2], values[3]),
        compare(_PAGE, values[4], values[5]),
    ]


def _served(plan: Plan, servers: ExitStack, database: str) -> Child:
    """Return a server on a store that has dialogs already."""
    folder = plan.new_folder("served")
    uvloop.run(_fill(plan, folder, database))
    flags = ("--database", database) if database else ()
    return servers.enter_context(child.on_folder(corpus.places(folder), *flags))


async def _fill(plan: Plan, folder: Path, database: str) -> None:
    async with corpus.opened(folder, database) as service:
        await corpus.fill(service, "p", plan.size(_STORED), _MESSAGES)


def _consent(plan: Plan, server: Child) -> float:
    options = {"sockets": 1, "dialogs": plan.size(200), "messages": _MESSAGES}
    return client.run(plan, "load", server.port, **options)["stored_p50"]


def _pages(plan: Plan, server: Child) -> float:
    return 1 / p50(plan, server, _PATH)
