"""What a test needs of the machine. Where that is missing the test says so; CI has it all, and forbids to skip."""

import shutil
from pathlib import Path

import pytest


def need(program: str) -> str:
    """Return the program's path, or skip the test with the reason."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (Debian: apt-get install {Path(program).name})")
    return found
