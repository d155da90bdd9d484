"""What a test needs of the machine. Where that is missing the test says so; CI has it all, and forbids to skip."""

import shutil
import subprocess
from pathlib import Path

import pytest


def need(program: str) -> str:
    """Return the program's path, or skip the test with the reason."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (Debian: apt-get install {Path(program).name})")
    return found


def install_from_npm(package: str, folder: Path) -> None:
    """Install an npm package, such as `ws@8.18.3`, into the folder; or skip the test with the reason."""
    command = [need("npm"), "install", "--silent", "--no-audit", "--no-fund", package]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"npm has no {package} for us here: {done.stderr.strip()}")
