"""The audit of what is locked: a flaw fails it, and where nobody can be asked it says so."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
SOUND: dict[str, Any] = {"name": "sound", "version": "1.0", "vulns": []}
FLAWED: dict[str, Any] = {"name": "flawed", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
UNKNOWN: dict[str, Any] = {"name": "unknown", "skip_reason": "Dependency not found on PyPI"}


def audit(folder: Path, *answers: list[dict[str, Any]] | None) -> tuple[int, str]:
    """Return the status and the sentence, where the tool gives these answers in turn; None if it cannot ask."""
    for number, answer in enumerate(answers):
        said = "ConnectionError: no such host" if answer is None else json.dumps({"dependencies": answer})
        (folder / f"answer{number}").write_text(said)
    tool = folder / "pip-audit"
    tool.write_text(
        f"""#!/bin/sh
next=$(ls {folder}/answer* | head -n 1)
grep -q ConnectionError "$next" && exec cat "$next" >&2
cat "$next"; rm "$next"
"""
    )
    tool.chmod(0o755)
    done = subprocess.run(
        ["bash", ROOT / ".ci" / "audit"],
        env=os.environ | {"PIP_AUDIT": str(tool), "VENV": sys.prefix},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout.strip()


def test_what_has_no_known_flaw_passes(tmp_path: Path) -> None:
    assert audit(tmp_path, [SOUND], [SOUND, SOUND, UNKNOWN]) == (0, "2 packages audited, 1 unknown to the service")


def test_a_known_flaw_fails_and_is_named(tmp_path: Path) -> None:
    status, said = audit(tmp_path, [SOUND], [SOUND, FLAWED])

    assert status == 1
    assert said.splitlines()[0] == "flawed 2.0: PYSEC-1; fixed in 2.1"


@pytest.mark.parametrize("answer", [None, [UNKNOWN]], ids=["no network", "knows nothing"])
def test_where_nobody_can_be_asked_it_says_why_and_passes(tmp_path: Path, answer: list[dict[str, Any]] | None) -> None:
    status, said = audit(tmp_path, answer)

    assert status == 0
    assert said.startswith("audit: not done, because no advisory service answers here: ")
    assert said.endswith(("no such host", "not found on PyPI"))
