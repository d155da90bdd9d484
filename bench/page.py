"""A page of the 100 newest over HTTP: as fast at any depth, and beside a body of the same size that never changes."""

import json
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import uvloop

from . import child, client, corpus
from .child import Child
from .figure import Figure, Measured, compare
from .plan import Plan, in_turn
from .side import Side, faced

_DEPTH = Figure("page: p50 at the 500th / the first", "s", 1.3, 1.05, less_is_better=True)
_RATE = Figure("page: 16 clients / a static body", "requests/s", 0.05, 0.1)

_PATH = "/v1/messages?limit=100"
_DIALOGS, _MESSAGES = 10_000, 10
_DEEP = 500
_CLIENTS = 16


def measure(plan: Plan) -> list[Measured]:
    folder = plan.new_folder("page")
    uvloop.run(_fill(plan, folder))
    with child.on_folder(corpus.places(folder)) as server:
        deep = f"{_PATH}&cursor={_cursor(server, plan.size(_DEEP))}"
        depth = in_turn(plan.rounds, [partial(p50, plan, server, deep), partial(p50, plan, server, _PATH)])
        body = len(get(server, _PATH))
        with child.start("bench.peers.bare", "--body", str(body)) as static:
            sides = [_side(plan, server, _PATH), _side(plan, static, "/static")]
            in_turn(plan.rounds, sides)
    return [compare(_DEPTH, *depth), faced(_RATE, *sides)]


async def _fill(plan: Plan, folder: Path) -> None:
    async with corpus.opened(folder) as service:
        await corpus.fill(service, "p", plan.size(_DIALOGS), _MESSAGES)


def get(server: Child, path: str) -> bytes:
    """Return the body of a successful answer."""
    with urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=30) as answer:
        return answer.read()


def _cursor(server: Child, pages: int) -> str:
    """Return where the page after so many begins."""
    path, cursor = _PATH, ""
    for _ in range(pages):
        cursor = json.loads(get(server, path))["next"]
        path = f"{_PATH}&cursor={cursor}"
    return cursor


def p50(plan: Plan, server: Child, path: str) -> float:
    """Return the median time of one request after the other."""
    return client.run(plan, "fetch", server.port, path=path, seconds=plan.seconds(1))["request_p50"]


def _side(plan: Plan, server: Child, path: str) -> Side:
    load = partial(client.run, plan, "fetch", server.port, path=path, sockets=_CLIENTS, seconds=plan.seconds(1))
    return Side(server, load, "requests")
