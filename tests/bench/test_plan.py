"""How much is measured, and in which order."""

from pathlib import Path

import pytest

from bench.plan import Plan, in_turn


def test_sides_take_turns_and_the_first_turn_is_thrown_away() -> None:
    asked: list[str] = []

    def side(name: str, values: list[float]) -> float:
        asked.append(name)
        return values.pop(0)

    a, b = [1.0, 2.0, 3.0], [10.0, 20.0, 30.0]
    values = in_turn(2, [lambda: side("a", a), lambda: side("b", b)])

    assert asked == ["a", "b"] * 3
    assert values == [[2.0, 3.0], [20.0, 30.0]]


def test_no_turn_is_thrown_away_where_each_begins_afresh() -> None:
    values = [1.0, 2.0]

    assert in_turn(2, [lambda: values.pop(0)], thrown_away=0) == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("scale", "size", "seconds"), [(1.0, 200, 3.0), (0.25, 50, 0.75), (0.001, 1, 0.1), (10.0, 2000, 30.0)]
)
def test_a_plan_scales_sizes_and_seconds_but_never_to_nothing(
    tmp_path: Path, scale: float, size: int, seconds: float
) -> None:
    plan = Plan(tmp_path, scale=scale)

    assert (plan.size(200), plan.seconds(3.0)) == (size, pytest.approx(seconds))
    assert plan.size(200, least=100) == max(100, size)


def test_folders_and_notes_are_each_there_once(tmp_path: Path) -> None:
    plan = Plan(tmp_path)
    folders = [plan.new_folder("store"), plan.new_folder("store")]
    for text in ("busy", "left out", "busy"):
        plan.note(text)

    assert len(set(folders)) == 2
    assert all(folder.is_dir() and folder.parent == tmp_path for folder in folders)
    assert plan.notes == ["busy", "left out"]
