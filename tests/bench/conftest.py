"""The benchmarks are no installed package, and on `pythonpath` this folder would pass for theirs."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))

from bench import attackers, client
from bench.figure import Figure


@pytest.fixture(scope="session")
def clients() -> dict[str, Path]:
    """The load clients, compiled once for all tests; without a compiler these are skipped, and say so."""
    try:
        return {name: client.build(name) for name in ("load", "fetch")}
    except client.NoCompiler as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def figures() -> Callable[[str], list[Figure]]:
    """Tells what a benchmark is to measure: the figures that its module names."""

    def named(name: str) -> Iterator[Figure]:
        module = import_module(f"bench.{name}")
        for value in vars(module).values():
            if isinstance(value, Figure):
                yield value
            elif isinstance(value, dict):
                yield from (it for it in value.values() if isinstance(it, Figure))  # pyright: ignore[reportUnknownVariableType]
        if name == "attacks":
            yield from map(module.figure_of, attackers.ATTACKS)

    return lambda name: list(named(name))
