"""The process's memory does not become a file."""

import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import ctypes, resource
from consentful_server.operations.hardening import keep_memory_private
keep_memory_private()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_core_dumps_are_off_and_nobody_else_reads_the_memory() -> None:
    said = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=30)

    assert said.stdout.strip() == "0 (0, 0)"


@pytest.mark.parametrize(("lines", "warned"), [(1, False), (2, True)])
def test_swap_is_warned_of(tmp_path: Path, lines: int, warned: bool) -> None:
    (tmp_path / "swaps").write_text("Filename Type Size\n" + "/dev/sda2 partition 99\n" * (lines - 1))
    swaps = str(tmp_path / "swaps")
    probe = (
        "import pathlib; from consentful_server.operations import hardening; "
        f"hardening.keep_memory_private(pathlib.Path({swaps!r}))"
    )

    said = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=30)

    assert ("swap is on" in said.stderr) is warned
