"""Whole dialogs a second, 50 at once: connect, open, ten messages, consent, stored, end.

The messages come all at once, so that an ack stands for ten, or one by one, each acked before the next: then half of
what a dialog costs is reading, writing and acking, and bare aiohttp pays for it as well.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec

from . import child, client
from .figure import Figure, Measured, absolute, compare
from .plan import Plan, in_turn
from .side import Side, faced

_UNIT = "dialogs/s"
_BARE = Figure("whole dialogs: ours / bare aiohttp", _UNIT, 0.85, 1.1)
_CPU = Figure("CPU of a whole dialog, all threads", "µs", 480, 340, less_is_better=True)
_BARE_ONE = Figure("whole dialogs, messages one by one: ours / bare aiohttp", _UNIT, 0.85, 1.1)
_CPU_ONE = Figure("CPU of a whole dialog, messages one by one", "µs", less_is_better=True)
_STORAGE = Figure("whole dialogs, messages one by one: ours / ours without storage", _UNIT)
_FLASK = Figure("whole dialogs: ours / Flask, gunicorn, SQLite", _UNIT, 9, 12)
_FLASK_P99 = Figure("consent to stored: p99, 50 at once: ours / Flask", "s", 1 / 10, 1 / 20, less_is_better=True)
_FASTAPI = Figure("whole dialogs: ours / FastAPI, aiosqlite", _UNIT, 4, 6)

_AT_ONCE = 50
_MESSAGES = 10
_NEEDS = {"flask_design": ("flask", "gunicorn"), "fastapi_design": ("fastapi", "uvicorn", "httptools")}


def measure(plan: Plan) -> list[Measured]:
    with ExitStack() as servers:
        running = _ours_and_bare(plan, servers)
        at_once = _talking(plan, running, window=_MESSAGES)
        in_turn(plan.rounds, list(at_once.values()))
        sides = _talking(plan, running, window=1) | _designs(plan, servers)
        in_turn(plan.rounds, list(sides.values()))
    ours = sides["ours"]
    rows = [
        faced(_BARE, at_once["ours"], at_once["bare"]),
        absolute(_CPU, at_once["ours"].values("cpu_us")),
        faced(_BARE_ONE, ours, sides["bare"]),
        absolute(_CPU_ONE, ours.values("cpu_us")),
        faced(_STORAGE, ours, sides["storeless"]),
    ]
    if flask := sides.get("flask_design"):
        rows.append(faced(_FLASK, ours, flask))
        rows.append(compare(_FLASK_P99, ours.values("stored_p99"), flask.values("consent_p99")))
    if fastapi := sides.get("fastapi_design"):
        rows.append(faced(_FASTAPI, ours, fastapi))
    return rows


def _ours_and_bare(plan: Plan, servers: ExitStack) -> dict[str, child.Child]:
    return {
        "ours": servers.enter_context(child.ours(plan)),
        "storeless": servers.enter_context(child.ours(plan, module="bench.peers.storeless")),
        "bare": servers.enter_context(child.start("bench.peers.bare")),
    }


def _talking(plan: Plan, running: Mapping[str, child.Child], *, window: int) -> dict[str, Side]:
    """Return the servers under dialogs with so many messages in flight."""
    options = {"sockets": plan.size(_AT_ONCE), "dialogs": plan.size(1000), "messages": _MESSAGES, "bytes": 120}
    return {
        name: Side(server, partial(client.run, plan, "load", server.port, **options, window=window))
        for name, server in running.items()
    }


def _designs(plan: Plan, servers: ExitStack) -> dict[str, Side]:
    """Start the designs that store each message at once; those that are not installed are left out, and noted."""
    options = {"sockets": plan.size(_AT_ONCE), "dialogs": plan.size(60), "messages": _MESSAGES, "text": 80}
    sides: dict[str, Side] = {}
    for name, needs in _NEEDS.items():
        if missing := [package for package in needs if find_spec(package) is None]:
            plan.note(f"{name} was left out: {', '.join(missing)} not installed")
            continue
        database = str(plan.new_folder(name) / "peer.db")
        server = servers.enter_context(child.start(f"bench.peers.{name}", "--database", database))
        sides[name] = Side(server, partial(client.run, plan, "fetch", server.port, **options))
    return sides
