"""What everybody else notices of an attack: a well-behaved client's p99 while it runs, beside without."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from . import attackers, child, client, corpus
from .attackers import Attack
from .child import Child
from .figure import Figure, Measured, compare
from .plan import Plan, in_turn

_SOCKETS, _EVERY_S = 50, 0.1
_SECONDS, _LEAST_S = 2.0, 1.0


class Attacked(NamedTuple):
    """A server with its limits as shipped, and two keys for it."""

    server: Child
    good: str
    bad: str


def measure(plan: Plan) -> list[Measured]:
    with attacked(plan) as target:
        quiet = partial(p99, plan, target)
        return [
            compare(figure_of(attack), *in_turn(plan.rounds, [partial(p99_during, attack, plan, target), quiet]))
            for attack in attackers.ATTACKS
        ]


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
    return Figure(f"ack p99: during {attack.__name__} / without", "s", less_is_better=True)


async def _keys(folder: Path) -> tuple[str, str]:
    async with corpus.opened(folder) as service:
        return await service.api_keys.create("good", ["dialogs:write"]), await service.api_keys.create(
            "bad", ["dialogs:write"]
        )
