"""docs/deploy.md speaks of each folder of `deploy/`, and says by what it was checked."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")


def test_every_folder_has_a_row_and_says_by_what_it_was_checked() -> None:
    folders = {f"deploy/{path.name}" for path in (ROOT / "deploy").iterdir()}
    table, _, checked = PAGE.partition("## What was run")

    assert set(re.findall(r"^\| \[`(deploy/\w+)`\]", table, re.M)) == folders
    assert set(re.findall(r"^\| `(deploy/\w+)` \| .*`tests/\w+/\w+\.py`", checked, re.M)) == folders
