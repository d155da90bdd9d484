"""Whatever is done to the server, everybody else goes on: what `python -m bench attacks` measures, and a bound."""

import os
from collections.abc import Iterator

import pytest

from bench import attackers, attacks, client
from bench.attackers import Attack
from bench.plan import Plan

_P99_S = 1.0


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return Plan(tmp_path_factory.mktemp("bench"), rounds=1, scale=0.5)


@pytest.fixture(scope="module")
def target(plan: Plan) -> Iterator[attacks.Attacked]:
    cores = os.sched_getaffinity(0)
    with attacks.attacked(plan) as target:
        yield target
    os.sched_setaffinity(0, cores)


@pytest.mark.parametrize("attack", attackers.ATTACKS, ids=lambda attack: attack.__name__)
def test_everybody_else_goes_on(attack: Attack, plan: Plan, target: attacks.Attacked) -> None:
    try:
        assert 0 < attacks.p99_during(attack, plan, target) < _P99_S
    except client.NoCompiler as reason:
        pytest.skip(str(reason))
