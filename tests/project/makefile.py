"""What `make` would do, where nothing is made yet and nobody else's `make` has a say."""

import os
import subprocess
from pathlib import Path

from needs import need

_ROOT = Path(__file__).parent.parent.parent
_OF_MAKE = ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "PYTHON", "TESTS", "VENV")


def planned(*words: str) -> list[str]:
    """Return the commands for these targets and variables, without running them."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OF_MAKE}
    done = subprocess.run(
        [need("make"), "--dry-run", "--always-make", "--no-print-directory", *words],
        cwd=_ROOT,
        env=inherited,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stdout.replace("\\\n", " ").splitlines()
