"""Where the SDK runs: other systems, and the end of the interpreter. Each test is a program of its own."""

import subprocess
import sys
from pathlib import Path

WINDOWS = """
import asyncio, os, subprocess, sys
import aiohttp, msgspec  # they know their own systems
sys.modules["fcntl"] = None
for name in ("fork", "register_at_fork"):
    delattr(os, name)

class msvcrt:
    LK_NBLCK = 2
    held = set()

    @staticmethod
    def locking(descriptor, mode, size):
        assert (mode, size) == (msvcrt.LK_NBLCK, 1)
        where = os.fstat(descriptor).st_ino
        if where in msvcrt.held:
            raise PermissionError(13, "Permission denied")
        msvcrt.held.add(where)

sys.modules["msvcrt"] = msvcrt
"""


def said_by(program: str, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *args], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_it_can_be_imported_where_there_is_no_fork_and_no_fcntl() -> None:
    assert said_by(WINDOWS + "import consentful, consentful.sync; print(consentful.Reader('http://x.test'))")


def test_a_local_copy_is_locked_there_too(tmp_path: Path) -> None:
    program = """
from pathlib import Path
from consentful.folder_lock import locked

place = Path(sys.argv[1]) / "lock"
with locked(place):
    try:
        with locked(place):
            print("twice")
    except BlockingIOError as error:
        print(error)
"""

    assert said_by(WINDOWS + program, str(tmp_path)).strip().endswith("another process holds the lock")


def test_at_exit_no_thread_is_started() -> None:
    """CPython 3.12 and later cannot start one then; a name is looked up first, in a thread."""
    program = """
import atexit, threading
import consentful

try:
    with consentful.sync.open_dialog("http://localhost:1", customer_id="c-1", reconnect_for=0):
        pass
except consentful.Unavailable:
    pass

def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")

atexit.register(setattr, threading.Thread, "start", refuse)
"""

    assert said_by(program) == ""
