"""Licences: all that is locked is under an allowed one, and what is not would be noticed; a tool may be less free."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def licences(**environment: str) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", ROOT / ".ci" / "licences"],
        env=os.environ | {"VENV": sys.prefix} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def package(folder: Path, *about: str) -> dict[str, str]:
    """Install a package with these metadata; return the environment in which it is all that is locked."""
    info = folder / "strange-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", "Name: strange", "Version: 1.0", *about, ""]))
    (folder / "lock.txt").write_text("strange==1.0 \\\n    --hash=sha256:00\n")
    (folder / "none.txt").write_text("")
    return {"PYTHONPATH": str(folder), "SHIPPED": str(folder / "none.txt"), "LOCKED": str(folder / "lock.txt")}


def test_everything_that_is_locked_is_under_an_allowed_licence() -> None:
    status, said = licences()

    assert status == 0, said
    assert int(said.split()[1]) > 100


@pytest.mark.parametrize(
    ("about", "shipped", "tool"),
    [
        ("License-Expression: MIT OR GPL-3.0", 0, 0),
        ("License-Expression: MIT AND GPL-3.0", 1, 0),
        ("License-Expression: MIT AND AGPL-3.0-only", 1, 1),
        ("License-Expression: Apache-2.0 AND (MIT OR AGPL-3.0-only)", 1, 1),
        ("Classifier: License :: OSI Approved :: MIT License", 0, 0),
        ("Classifier: License :: Other/Proprietary License", 1, 1),
        ("License: GPL-3.0", 1, 0),
        ("License: ask us", 1, 1),
        ("Summary: no word of a licence", 1, 1),
    ],
)
def test_what_may_be_shipped_and_what_a_tool_may_be(about: str, shipped: int, tool: int, tmp_path: Path) -> None:
    environment = package(tmp_path, about)

    assert licences(**environment)[0] == tool
    status, said = licences(**environment | {"SHIPPED": environment["LOCKED"]})
    assert status == shipped
    assert ("licences: strange: " in said) == bool(shipped)
