"""What a whole dialog costs beside bare aiohttp, in processor time, which a busy machine changes little."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bench import child, client
from bench.plan import Plan, in_turn
from bench.side import Side

MOST = 1.8
"""Ours / bare aiohttp, of servers that have just started.

Measured: 1.43 on an idle machine and 1.19 to 1.58 in 20 runs at load averages of 8 to 20; 2.3 before the upgrade took
the short way. An eighth is for noise beyond that.
"""

_ROUNDS, _DIALOGS = 3, 150


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Plan]:
    cores = os.sched_getaffinity(0)
    yield Plan(tmp_path)
    os.sched_setaffinity(0, cores)


@pytest.mark.usefixtures("clients")
def test_a_whole_dialog_costs_little_more_than_bare_aiohttp(plan: Plan) -> None:
    with child.ours(plan) as ours, child.start("bench.peers.bare") as bare:
        sides = [Side(server, partial(_load, plan, server.port)) for server in (ours, bare)]
        in_turn(_ROUNDS, sides)

    cost, least = (sum(side.values("cpu_us")) for side in sides)
    assert cost / least < MOST


def _load(plan: Plan, port: int) -> dict[str, float]:
    return client.run(plan, "load", port, sockets=50, dialogs=_DIALOGS, messages=10)
