"""The public API moves only when somebody means it to, whatever happens to files and names behind it.

After a change that is meant, write the new inventory: `PYTHONPATH=tests python -m project.public_api >public_api.txt`.
"""

import difflib
from pathlib import Path

from project.public_api import lines

INVENTORY = Path(__file__).with_name("public_api.txt")


def test_the_public_api_is_the_one_on_record() -> None:
    recorded = INVENTORY.read_text("utf-8").split("\n")[:-1]

    moved = [line for line in difflib.unified_diff(recorded, sorted(lines()), lineterm="", n=0) if line[:2] != "@@"]

    assert moved == []


def test_no_public_name_follows_a_file() -> None:
    assert [line for line in lines() if "consentful_server.edges" in line] == []
