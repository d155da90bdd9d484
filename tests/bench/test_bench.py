"""Every benchmark runs and yields a ratio; what it measures at this size means nothing."""

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import child, figure, ingest
from bench import plan as plans

needs_compiler = pytest.mark.skipif(not (shutil.which("gcc") or shutil.which("cc")), reason="no C compiler")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, child.Child]]:
    """One of each server for all benchmarks: starting them is what takes time."""
    plan, cores = plans.Plan(tmp_path_factory.mktemp("bench")), os.sched_getaffinity(0)
    with ExitStack() as running:
        yield {
            "consentful_server": running.enter_context(child.ours(plan, *ingest.NO_LIMITS)),
            "bench.peers.storeless": running.enter_context(child.ours(plan, module="bench.peers.storeless")),
            "bench.peers.bare": running.enter_context(child.start("bench.peers.bare", "--body", "1000")),
            "bench.peers.frames": running.enter_context(child.start("bench.peers.frames")),
        }
    os.sched_setaffinity(0, cores)


@pytest.fixture
def plan(tmp_path: Path, servers: dict[str, child.Child], monkeypatch: pytest.MonkeyPatch) -> plans.Plan:
    def ours(_: plans.Plan, *_flags: str, module: str = "consentful_server") -> AbstractContextManager[child.Child]:
        return nullcontext(servers[module])

    start = child.start

    def start_once(module: str, *arguments: str) -> AbstractContextManager[child.Child]:
        return (
            nullcontext(servers[module])
            if module in servers and "serve" not in arguments
            else start(module, *arguments)
        )

    monkeypatch.setattr(child, "ours", ours)
    monkeypatch.setattr(child, "start", start_once)
    return plans.Plan(tmp_path, rounds=1, scale=0.002)


@needs_compiler
@pytest.mark.parametrize("name", [name for name in command.NAMES if name != "attacks"])  # it has a test of its own
def test_each_yields_positive_ratios(name: str, plan: plans.Plan) -> None:
    rows = command.benchmark(name)(plan)

    assert rows
    assert all(row.ratio > 0 and row.a > 0 for row in rows)


def test_a_ratio_is_the_median_of_rounds() -> None:
    row = figure.compare(figure.Figure("f", "1/s", floor=2), [2.0, 30.0, 8.0], [1.0, 10.0, 4.0])

    assert (row.ratio, row.a, row.b, row.verdict) == (2.0, 8.0, 4.0, "ok")


def test_less_can_be_better() -> None:
    row = figure.absolute(figure.Figure("f", "kB", floor=20, less_is_better=True), [21.0])

    assert row.verdict == "missed"
