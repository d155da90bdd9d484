"""Whatever is done to the server, everybody else goes on: what `python -m bench attacks` measures, and a bound."""

import os
from collections.abc import Iterator

import pytest

from bench import attackers, attacks, client
from bench.attackers import Attack
from bench.plan import Plan

pytestmark = pytest.mark.usefixtures("clients")

_P99_S = 1.0
_DIALOG_BYTES = 20_000
_ABUSED_BYTES = 64 * 1024 * 1024
_BESIDE_BYTES = 200_000_000
"""What a process needs beside its dialogs, as the documentation says."""
_READERS = (attackers.worst_search, attackers.big_pages, attackers.many_streams, attackers.slow_streams)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return Plan(tmp_path_factory.mktemp("bench"), rounds=1, scale=0.5)


@pytest.fixture(scope="module")
def target(plan: Plan) -> Iterator[attacks.Attacked]:
    cores = os.sched_getaffinity(0)
    with attacks.attacked(plan) as target:
        yield target
    os.sched_setaffinity(0, cores)


@pytest.fixture(scope="module")
def read_alone(plan: Plan) -> Iterator[attacks.Attacked]:
    """A server that nobody attacked otherwise: what floods leave to its allocator is not the readers'."""
    cores = os.sched_getaffinity(0)
    with attacks.attacked(plan) as target:
        yield target
    os.sched_setaffinity(0, cores)


@pytest.mark.parametrize("attack", attackers.ATTACKS, ids=lambda attack: attack.__name__)
def test_everybody_else_goes_on(attack: Attack, plan: Plan, target: attacks.Attacked) -> None:
    assert 0 < attacks.p99_during(attack, plan, target) < _P99_S


@pytest.mark.parametrize("dialogs", [300, pytest.param(10_000, marks=pytest.mark.prove)])
def test_idle_dialogs_and_abuse_stay_within_the_budget(dialogs: int, plan: Plan) -> None:
    """What the process takes beside what it began with is the memory that it may count, and a fifth of it at most."""
    memory = dialogs * _DIALOG_BYTES + _ABUSED_BYTES
    cores = os.sched_getaffinity(0)
    try:
        with attacks.attacked(plan, "--memory", str(memory)) as target:
            port, good = target.server.port, target.good
            with client.holding(port, sockets=1, messages=1, token=good):
                before = target.server.anonymous_bytes()
            with client.holding(port, sockets=dialogs, messages=10, bytes=136, token=good):
                most = 0
                for attack in (
                    attackers.frame_flood,
                    attackers.fragments,
                    attackers.huge_frames,
                    attackers.slow_reader,
                ):
                    with attackers.attacking(attack, port, target.bad):
                        attacks.p99(plan, target)  # whoever behaves is served meanwhile
                        most = max(most, target.server.anonymous_bytes())
    finally:
        os.sched_setaffinity(0, cores)

    assert most - before < 1.2 * memory


@pytest.mark.parametrize("attack", _READERS, ids=lambda attack: attack.__name__)
def test_readers_of_the_worst_texts_take_no_more_memory_than_a_process_has(
    attack: Attack, plan: Plan, read_alone: attacks.Attacked
) -> None:
    """30 dialogs of 1 MiB, in which each character takes four bytes, to 16 readers at a time."""
    most = 0
    with attackers.attacking(attack, read_alone.server.port, read_alone.bad):
        for _ in range(3):
            attacks.p99(plan, read_alone)
            most = max(most, read_alone.server.anonymous_bytes())

    assert most < _BESIDE_BYTES
