"""What the README and the documentation say of speed is what was measured, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bench import __main__ as command
from bench import publish
from bench.figure import COLUMNS, Figure

Figures: TypeAlias = Callable[[str], list[Figure]]

ROOT = Path(__file__).parents[2]


def published() -> dict[str, Any]:
    return json.loads((ROOT / publish.SOURCE).read_text("utf-8"))


@pytest.mark.parametrize("name", [publish.SOURCE, publish.PICTURE, "README.md", "docs/benchmarks.md"])
def test_every_figure_that_a_page_names_stands_in_what_was_measured(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == publish.pages(published())[name], "run python -m bench.publish"


def test_the_readme_has_all_its_headlines() -> None:
    shown = [row["figure"] for row in publish.headlines(published())]

    assert shown == list(publish.HEADLINES)


def test_what_is_published_is_all_that_is_measured(figures: Figures) -> None:
    """Attacks are no figure of speed; `docs/threats.md` tells what holds during them."""
    named = {figure.name for name in command.NAMES if name != "attacks" for figure in figures(name)}
    rows = published()["rows"]

    assert {row["figure"] for row in rows} == named
    assert len(rows) == len(named)
    assert all(row["others"] is not None for row in rows), "under which load it was measured"


def result(figure: str, ratio: float, note: str) -> dict[str, Any]:
    row = {"figure": figure, "ratio": ratio}
    return {"conditions": [note], "rows": [row], "curves": [{"title": figure, "values": [ratio]}], "notes": [note]}


def test_the_last_of_several_results_counts() -> None:
    whole = publish.merged([result("a", 1, "first"), result("b", 2, "second"), result("a", 3, "third")])

    assert {row["figure"]: row["ratio"] for row in whole["rows"]} == {"a": 3, "b": 2}
    assert {curve["title"]: curve["values"] for curve in whole["curves"]} == {"a": [3], "b": [2]}
    assert whole["conditions"] == ["third"]
    assert whole["notes"] == ["first", "second", "third"]


def test_only_what_is_between_the_comments_changes() -> None:
    page = "before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n"

    assert publish.filled(page, "figures", r"new \1") == (
        "before\n<!-- figures -->\n\nnew \\1\n<!-- end of figures -->\nafter\n"
    )
    with pytest.raises(ValueError, match="0 places for speed"):
        publish.filled(page, "speed", "new")


def test_the_readme_tells_of_a_miss_as_the_table_does() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")

    for row in publish.headlines(published()):
        (line,) = [line for line in readme.splitlines() if line.startswith(f"| {row['figure']} |")]
        assert [cell.strip() for cell in line.split("|")[1:-1]][COLUMNS.index("mark")] == row["mark"]
