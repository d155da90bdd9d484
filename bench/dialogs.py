"""Whole dialogs a second, 50 at once: connect, open, ten messages each acked before the next, consent, stored, end."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec

from . import child, client
from .figure import Figure, Measured, compare
from .plan import Plan, in_turn

_UNIT = "dialogs/s"
_STORAGE = Figure("dialogs: ours / without storage", _UNIT, 0.80, 0.92)
_BARE = Figure("dialogs: without storage / bare aiohttp", _UNIT, 0.85, 0.97)
_FLASK = Figure("dialogs: ours / Flask, gunicorn, SQLite", _UNIT, 12, 25)
_FLASK_P99 = Figure("consent p99: ours / Flask, 50 at once", "s", 1 / 15, 1 / 40, less_is_better=True)
_FASTAPI = Figure("dialogs: ours / FastAPI, aiosqlite", _UNIT, 4, 8)

_AT_ONCE = 50
_MESSAGES = 10


class Side:
    """One server under load, and what was seen of it."""

    def __init__(self, run: Callable[[], dict[str, float]], p99: str) -> None:
        self._run = run
        self._p99 = p99
        self.p99: list[float] = []

    def __call__(self) -> float:
        result = self._run()
        self.p99.append(result[self._p99])
        return result["dialogs"] / result["seconds"]


def measure(plan: Plan) -> list[Measured]:
    at_once = plan.size(_AT_ONCE)
    with ExitStack() as servers:
        live = partial(
            client.run, plan, "load", sockets=at_once, dialogs=plan.size(1000), messages=_MESSAGES, bytes=120
        )
        rest = partial(client.run, plan, "fetch", sockets=at_once, dialogs=plan.size(60), messages=_MESSAGES, text=80)
        sides = {
            "ours": Side(partial(live, servers.enter_context(child.ours(plan)).port), "stored_p99"),
            "storeless": Side(
                partial(live, servers.enter_context(child.ours(plan, module="bench.peers.storeless")).port),
                "stored_p99",
            ),
            "bare": Side(partial(live, servers.enter_context(child.start("bench.peers.bare")).port), "stored_p99"),
        }
        for name, needs in (("flask_design", ("flask", "gunicorn")), ("fastapi_design", ("fastapi", "uvicorn"))):
            if missing := [package for package in needs if find_spec(package) is None]:
                plan.note(f"{name} was left out: {', '.join(missing)} not installed")
                continue
            database = str(plan.new_folder(name) / "peer.db")
            port = servers.enter_context(child.start(f"bench.peers.{name}", "--database", database)).port
            sides[name] = Side(partial(rest, port), "consent_p99")
        values = dict(zip(sides, in_turn(plan.rounds, list(sides.values())), strict=True))
    rows = [
        compare(_STORAGE, values["ours"], values["storeless"]),
        compare(_BARE, values["storeless"], values["bare"]),
    ]
    if "flask_design" in values:
        p99 = [sides[name].p99[1:] for name in ("ours", "flask_design")]
        rows += [compare(_FLASK, values["ours"], values["flask_design"]), compare(_FLASK_P99, *p99)]
    if "fastapi_design" in values:
        rows.append(compare(_FASTAPI, values["ours"], values["fastapi_design"]))
    return rows
