"""What the process does so that its memory does not become a file: no core dump, no debugger, a warning about swap."""

import ctypes
import logging
import resource
import sys
from pathlib import Path
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_SWAPS: Final = Path("/proc/swaps")

_log: Final = logging.getLogger("consentful.server")


def keep_memory_private(swaps: Path = _SWAPS) -> None:
    """Forbid core dumps, and reading this process's memory by others of its user; say so if swap may write it out."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        _log.warning("the process could not be made undumpable; see to it that nobody else runs as its user")
    if _has_swap(swaps):
        _log.warning("swap is on: words in memory may be written to it; turn it off, or encrypt it")


def _has_swap(swaps: Path) -> bool:
    try:
        return len(swaps.read_text().splitlines()) > 1  # the first line names the columns
    except OSError:
        return False
