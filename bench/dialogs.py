"""Whole dialogs a second, 50 at once: connect, open, ten messages each acked before the next, consent, stored, end."""

from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec

from . import child, client
from .figure import Figure, Measured, absolute, compare
from .plan import Plan, in_turn
from .side import Side, faced

_UNIT = "dialogs/s"
_BARE = Figure("whole dialogs: ours / bare aiohttp", _UNIT, 0.85, 1.1)
_STORAGE = Figure("whole dialogs: ours / ours without storage", _UNIT)
_CPU = Figure("CPU of a whole dialog, all threads", "µs", 480, 340, less_is_better=True)
_FLASK = Figure("whole dialogs: ours / Flask, gunicorn, SQLite", _UNIT, 9, 12)
_FLASK_P99 = Figure("consent to stored: p99, 50 at once: ours / Flask", "s", 1 / 10, 1 / 20, less_is_better=True)
_FASTAPI = Figure("whole dialogs: ours / FastAPI, aiosqlite", _UNIT, 4, 6)

_AT_ONCE = 50
_MESSAGES = 10
_NEEDS = {"flask_design": ("flask", "gunicorn"), "fastapi_design": ("fastapi", "uvicorn", "httptools")}


def measure(plan: Plan) -> list[Measured]:
    with ExitStack() as servers:
        sides = _ours_and_bare(plan, servers) | _designs(plan, servers)
        in_turn(plan.rounds, list(sides.values()))
    ours = sides["ours"]
    rows = [
        faced(_BARE, ours, sides["bare"]),
        faced(_STORAGE, ours, sides["storeless"]),
        absolute(_CPU, ours.values("cpu_us")),
    ]
    if flask := sides.get("flask_design"):
        rows.append(faced(_FLASK, ours, flask))
        rows.append(compare(_FLASK_P99, ours.values("stored_p99"), flask.values("consent_p99")))
    if fastapi := sides.get("fastapi_design"):
        rows.append(faced(_FASTAPI, ours, fastapi))
    return rows


def _ours_and_bare(plan: Plan, servers: ExitStack) -> dict[str, Side]:
    options = {"sockets": plan.size(_AT_ONCE), "dialogs": plan.size(1000), "messages": _MESSAGES, "bytes": 120}
    running = {
        "ours": servers.enter_context(child.ours(plan)),
        "storeless": servers.enter_context(child.ours(plan, module="bench.peers.storeless")),
        "bare": servers.enter_context(child.start("bench.peers.bare")),
    }
    return {
        name: Side(server, partial(client.run, plan, "load", server.port, **options))
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
