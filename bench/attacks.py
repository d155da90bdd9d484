"""What everybody else notices of an attack: a well-behaved client's p99 while it runs, and without."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from . import attackers, child, client, corpus
from .attackers import Attack
from .child import Child
from .figure import Figure, Measured, absolute
from .plan import Plan, in_turn

_SOCKETS, _EVERY_S = 50, 0.1
_SECONDS, _LEAST_S = 2.0, 1.0
_WORST = 30
"""Dialogs in the store, of 1 MiB each."""
_P99_S, _AIM_S = 0.05, 0.02


QUIET = Figure("ack p99 without an attack", "s", _P99_S, _AIM_S, less_is_better=True)


class Attacked(NamedTuple):
    """A server with its limits as shipped, and two keys for it."""

    server: Child
    good: str
    bad: str


def measure(plan: Plan) -> list[Measured]:
    with attacked(plan) as target:
        during = [partial(p99_during, attack, plan, target) for attack in attackers.ATTACKS]
        quiet, *results = in_turn(plan.rounds, [partial(p99, plan, target), *during])
    rows = zip(attackers.ATTACKS, results, strict=True)
    return [absolute(QUIET, quiet), *(absolute(figure_of(attack), values) for attack, values in rows)]


@contextmanager
def attacked(plan: Plan, *flags: str) -> Generator[Attacked]:
    folder = plan.new_folder("attacks")
    good, bad = asyncio.run(_keys(folder))
    fixed = ("--auth", "keys", "--compress", "--grace", "0", "--log-level", "error")
    with child.start("consentful_server", "serve", *corpus.places(folder), *fixed, *flags) as server:
        yield Attacked(server, good, bad)


def p99_during(attack: Attack, plan: Plan, target: Attacked) -> float:
    """Return how long all but 1 % of the well-behaved client's acks take at most, while others attack.

    Raises:
        RuntimeError: If nothing that it said was acked.
    """
    with attackers.attacking(attack, target.server.port, target.bad):
        return p99(plan, target)


def p99(plan: Plan, target: Attacked) -> float:
    speaking = {"sockets": plan.size(_SOCKETS), "every": _EVERY_S, "seconds": max(_LEAST_S, plan.seconds(_SECONDS))}
    result = client.run(plan, "load", target.server.port, token=target.good, together=1, **speaking)
    if not result["messages"]:
        raise RuntimeError("nobody else was served")
    return result["ack_p99"]


def figure_of(attack: Attack) -> Figure:
    return Figure(f"ack p99 during {attack.__name__}", "s", _P99_S, _AIM_S, less_is_better=True)


async def _keys(folder: Path) -> tuple[str, str]:
    async with corpus.opened(folder) as service:
        await corpus.fill_worst(service, _WORST)
        good = await service.api_keys.create("good", ["dialogs:write"])
        return good, await service.api_keys.create("bad", ["dialogs:write", "data:read"])
