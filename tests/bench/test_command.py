"""`python -m bench`: what it prints, and the status with which it ends."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import client
from bench.figure import Figure, Measured, absolute, compare
from bench.plan import Plan

HELD = compare(Figure("rate: ours / theirs", "1/s", floor=0.5, aim=1), [3.0], [4.0])
MISSED = absolute(Figure("memory", "kB", floor=20, aim=10, less_is_better=True), [21.0])

Bench = Callable[..., int]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """Runs the command with these arguments; its benchmarks measure at once what the test says."""
    monkeypatch.setattr(command, "RESULTS", tmp_path)

    def run(*arguments: str, outcomes: dict[str, list[Measured] | Exception]) -> int:
        def benchmark(name: str) -> Callable[[Plan], list[Measured]]:
            def measure(plan: Plan) -> list[Measured]:
                plan.note(f"{name} in {plan.rounds} rounds")
                os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # as whoever starts a server does
                outcome = outcomes[name]
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome

            return measure

        monkeypatch.setattr(command, "benchmark", benchmark)
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        return command.main()

    return run


def test_a_floor_that_is_missed_is_marked_and_ends_with_1(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("page", outcomes={"page": [HELD]}) == 0
    assert "misses" not in capsys.readouterr().out

    assert bench("page", "memory", outcomes={"page": [HELD], "memory": [MISSED]}) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [("rate" in line, "≥ 0.5" in line, "ok" in line) for line in lines if "0.75" in line] == [(True, True, True)]
    assert [("memory" in line, "≤ 20" in line, "misses floor" in line) for line in lines if " 21" in line] == [
        (True,) * 3
    ]


def test_all_are_run_if_none_is_named(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes: dict[str, list[Measured] | Exception] = {name: [HELD] for name in command.NAMES}

    assert bench("--quick", outcomes=outcomes) == 0
    said = capsys.readouterr()
    assert [line for line in said.out.splitlines() if line.startswith("note: ")] == [
        f"note: {name} in 2 rounds" for name in command.NAMES
    ]
    assert [line.split()[0] for line in said.err.splitlines()] == list(command.NAMES)


def test_a_name_that_is_none_is_told_with_all_that_there_are(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench("pages", outcomes={})

    assert ended.value.code == 2
    assert f"no benchmark pages; there are {', '.join(command.NAMES)}" in capsys.readouterr().err


def test_without_a_compiler_the_rest_is_left_out_and_that_is_no_success(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("store", "ingest", outcomes={"store": [HELD], "ingest": client.NoCompiler()}) == 1

    said = capsys.readouterr()
    assert "The rest was left out: no C compiler (gcc or cc)" in said.err
    assert "rate: ours / theirs" in said.out, "what was measured is shown"


def test_a_benchmark_that_fails_is_left_out_and_the_others_are_shown(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("store", "page", outcomes={"store": RuntimeError("no answer"), "page": [HELD]}) == 1

    said = capsys.readouterr().out
    assert "note: store was left out: no answer" in said
    assert "rate: ours / theirs" in said


def test_results_are_written_where_they_are_wanted(bench: Bench, tmp_path: Path) -> None:
    bench("page", "--results", str(tmp_path / "there"), outcomes={"page": [HELD]})

    result = json.loads((tmp_path / "there" / "results.json").read_text())
    (row,) = result["rows"]
    assert row | {"others": None} == HELD.as_json()
    assert row["others"] >= 0
    assert result["notes"] == ["page in 5 rounds"]
    assert any("synchronous=FULL" in line for line in result["conditions"])
    assert (tmp_path / "there" / "growth.svg").read_text().startswith("<svg ")


def test_the_process_is_on_all_its_cores_afterwards(bench: Bench) -> None:
    cores = os.sched_getaffinity(0)

    bench("page", outcomes={"page": [HELD]})

    assert os.sched_getaffinity(0) == cores


def test_each_name_is_a_module_that_measures() -> None:
    assert all(callable(command.benchmark(name)) for name in command.NAMES)
