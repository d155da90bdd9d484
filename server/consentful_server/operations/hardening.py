"""Hardening: the process's memory must not reach a file. No core dump, no debugger, a warning about swap."""

import ctypes
import logging
import resource
import sys
from pathlib import Path
from typing import Final

_PR_SET_DUMPABLE: Final = 4
SWAPS: Final = Path("/proc/swaps")

_log: Final = logging.getLogger("consentful.server")


def keep_memory_private(swaps: Path = SWAPS) -> None:
    """Disable core dumps, and access to the memory by other processes of the same user; warn about swap."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        _log.warning("prctl(PR_SET_DUMPABLE) failed; run no other process as this user")
    if has_swap(swaps):
        _log.warning("swap is on: message text in memory may be written to it; turn it off, or encrypt it")


def has_swap(swaps: Path = SWAPS) -> bool:
    """Whether this machine may write memory to a disk."""
    try:
        return len(swaps.read_text().splitlines()) > 1  # the first line names the columns
    except OSError:
        return False
