"""A release of this service as users get it: a wheel, built from this tree or from one that is a step ahead."""

import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consentful_server.stores.postgres.migrations import BESIDE, migrations

_ROOT: Final = Path(__file__).parents[2]
_SOURCES: Final = ("server", "client_sdk", "static")
_FILES: Final = ("pyproject.toml", "README.md", "LICENSE")
_MIGRATIONS: Final = Path("server", "consentful_server", "stores", "postgres", "migrations")
_STEP: Final = f"""{BESIDE} they name the columns that they write, and this one is empty then.
ALTER TABLE dialogs ADD COLUMN next_release TEXT;
"""
STEP: Final = "next_release"
"""The name of the step that the next release brings."""


@dataclass(frozen=True)
class Release:
    """An unpacked wheel: `folder` before all others in the path makes this version run."""

    version: str
    folder: Path


def this_release(folder: Path) -> Release:
    """Return the wheel of this tree."""
    return _build(folder, _copied(folder))


def next_release(folder: Path) -> Release:
    """Return the wheel of a later version, whose schema has a step beside which this one may run."""
    tree = _copied(folder)
    number = migrations()[-1].number + 1
    (tree / _MIGRATIONS / f"{number:04}_{STEP}.sql").write_text(_STEP)
    project = tree / "pyproject.toml"
    project.write_text(re.sub(r'(?m)^version = ".*"$', 'version = "99.0.0"', project.read_text("utf-8"), count=1))
    return _build(folder, tree)


def _copied(folder: Path) -> Path:
    tree = folder / "tree"
    for name in _SOURCES:
        shutil.copytree(_ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _FILES:
        shutil.copy(_ROOT / name, tree / name)
    return tree


def _build(folder: Path, tree: Path) -> Release:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "installed")
    return Release(wheel.name.split("-")[1], folder / "installed")
