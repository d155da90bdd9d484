"""What came of a figure, and the table that shows it."""

import io
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench import __main__ as command
from bench.figure import Figure, Measured, absolute, compare, markdown, show

Figures: TypeAlias = Callable[[str], list[Figure]]

SIDE = st.floats(1e-6, 1e9)


def shown(*rows: Measured) -> list[list[str]]:
    """Return the cells of the table as the command prints it, row by row."""
    console = Console(file=io.StringIO(), width=command.WIDTH)
    show(rows, console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]


def test_a_ratio_is_the_median_of_rounds() -> None:
    row = compare(Figure("f", "1/s", floor=2), [2.0, 30.0, 8.0], [1.0, 10.0, 4.0])

    assert (row.ratio, row.ours, row.peer, row.mark) == (2.0, 8.0, 4.0, "ok")


@given(st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=7))
def test_what_slows_down_both_sides_of_a_round_changes_nothing(rounds: list[tuple[float, float]]) -> None:
    a, b = ([values[side] for values in rounds] for side in (0, 1))
    slow = [2.0**number for number in range(len(rounds))]

    steady = compare(Figure("f", "s"), a, b)
    slowed = compare(Figure("f", "s"), *([x * y for x, y in zip(side, slow, strict=True)] for side in (a, b)))

    assert slowed.ratio == pytest.approx(steady.ratio)
    ratios = [x / y for x, y in rounds]
    assert min(ratios) <= steady.ratio <= max(ratios)
    assert math.isfinite(steady.ratio)


def test_a_side_that_missed_a_round_is_no_figure() -> None:
    with pytest.raises(ValueError, match="shorter"):
        compare(Figure("f", "s"), [1.0, 2.0], [1.0])


def test_a_figure_without_a_peer_is_its_own_ratio() -> None:
    row = absolute(Figure("f", "kB"), [3.0, 1.0, 2.0])

    assert (row.ratio, row.ours, row.peer) == (2.0, 2.0, None)


@pytest.mark.parametrize(
    ("figure", "ratio", "mark"),
    [
        (Figure("f", "1/s", floor=2), 2.0, "ok"),
        (Figure("f", "1/s", floor=2), 1.99, "misses floor"),
        (Figure("f", "s", floor=2, less_is_better=True), 2.0, "ok"),
        (Figure("f", "s", floor=2, less_is_better=True), 2.01, "misses floor"),
        (Figure("f", "1/s", aim=2), 0.1, ""),
        (Figure("f", "s", aim=2, less_is_better=True), 9.9, ""),
    ],
)
def test_a_floor_is_held_or_missed_and_an_aim_is_neither(figure: Figure, ratio: float, mark: str) -> None:
    row = absolute(figure, [ratio])

    assert row.mark == mark
    assert figure.holds(ratio) == (mark != "misses floor")
    assert row.as_json()["mark"] == mark


def test_the_table_says_what_must_hold_and_what_missed_it() -> None:
    more = Figure("rate: ours / theirs", "rows/s", floor=0.5, aim=0.8)
    less = Figure("memory", "kB", floor=20, less_is_better=True)

    compared = replace(compare(more, [1234.0], [4936.0], cpus=([420.4], [1300.0])), others=0.25)
    assert shown(compared, absolute(less, [19.5])) == [
        [
            *("rate: ours / theirs", "1,234", "4,936", "rows/s", "0.25", "≥ 0.5", "≥ 0.8", "misses floor"),
            *("420 / 1,300", "0.2"),
        ],
        ["memory", "19.5", "–", "kB", "19.5", "≤ 20", "–", "ok", "", ""],
    ]
    assert markdown([compared.as_json()]).splitlines()[2] == (
        "| rate: ours / theirs | 1,234 | 4,936 | rows/s | 0.25 | ≥ 0.5 | ≥ 0.8 | misses floor | 420 / 1,300 | 0.2 |"
    )


@pytest.mark.parametrize(
    ("ours", "peer", "said"), [(0.0042, 0.5, ["4.2", "500", "ms"]), (0.5, 1.5, ["0.5", "1.5", "s"])]
)
def test_both_sides_are_in_milliseconds_or_both_in_seconds(ours: float, peer: float, said: list[str]) -> None:
    ((_, *cells),) = shown(compare(Figure("wait: ours / theirs", "s", less_is_better=True), [ours], [peer]))

    assert cells[:3] == said


def test_json_says_the_same() -> None:
    figure = Figure("rate: ours / theirs", "rows/s", floor=0.5, aim=0.8)

    assert compare(figure, [1.0], [4.0]).as_json() == {
        "figure": "rate: ours / theirs",
        "unit": "rows/s",
        "ours": 1.0,
        "peer": 4.0,
        "ratio": 0.25,
        "floor": 0.5,
        "aim": 0.8,
        "less_is_better": False,
        "mark": "misses floor",
        "cpu_us": None,
        "others": None,
    }


@pytest.mark.parametrize("name", command.NAMES)
def test_what_is_measured_is_told_apart_and_fits_into_the_table(name: str, figures: Figures) -> None:
    names = [figure.name for figure in figures(name)]

    assert [cells[0] for cells in shown(*(absolute(figure, [1e9]) for figure in figures(name)))] == names
    assert len(set(names)) == len(names) > 0


@pytest.mark.parametrize("name", command.NAMES)
def test_an_aim_is_beyond_its_floor(name: str, figures: Figures) -> None:
    for figure in figures(name):
        assert (figure.floor is None) == (figure.aim is None), figure
        if figure.floor is not None and figure.aim is not None:
            assert figure.holds(figure.aim), figure
            assert 0 < figure.floor != figure.aim, figure
