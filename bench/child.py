"""Servers as processes of their own, on a core of their own; each is ended by the process that started it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .plan import CLIENT_CORE, SERVER_CORE, Plan

ROOT = Path(__file__).parent.parent
UNHURRIED = tuple(f"--{share}-per-second=1000000000000" for share in ("opens", "frames", "bytes"))
"""One client does here what thousands would; it is still charged for all of it."""
FIXED = ("--auth", "none", "--grace", "0", "--log-level", "warning", *UNHURRIED)

_START_S = 60.0
_STOP_S = 20.0


@dataclass(frozen=True)
class Child:
    """A server that answers on its port."""

    pid: int
    port: int

    def anonymous_bytes(self) -> int:
        """Return the memory that is the processes' own: what they were given, less what files back."""
        return sum(map(_anonymous_bytes, _family(self.pid)))

    def cpu_seconds(self) -> float:
        """Return the processor time of all threads of the server and of its workers, to the nanosecond.

        `/proc/PID/stat` counts in steps of 10 ms, which is a load of 25 dialogs.
        """
        return sum(map(_cpu_seconds, _family(self.pid)))


def _family(pid: int) -> list[int]:
    """Return this process and its descendants: a supervisor's work is done by its workers."""
    parents = {int(path.name): _stat(path)[1] for path in Path("/proc").iterdir() if path.name.isdigit()}
    family = [pid]
    for member in family:  # grows while it is walked
        family += [child for child, parent in parents.items() if parent == str(member)]
    return family


def _stat(process: Path) -> list[str]:
    """Return the fields of `/proc/PID/stat` that follow the command's name; of a process that has ended, zeros."""
    try:
        return (process / "stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["0"] * 50


def _cpu_seconds(pid: int) -> float:
    return sum(int(thread.read_text().split()[0]) for thread in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _anonymous_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not tell")


@contextmanager
def start(
    module: str, *arguments: str, workers: int = 1, cores: Set[int] = frozenset({SERVER_CORE})
) -> Generator[Child]:
    """Run `python -m module arguments --port N` on these cores until the block ends.

    It is ready once so many of its workers listen; the client's core is this process's from then on.
    """
    port = _free_port()
    log = subprocess.DEVNULL if not os.environ.get("BENCH_LOG") else None
    os.sched_setaffinity(0, cores)  # inherited by the child and all its threads
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--port", str(port)], cwd=ROOT, stdout=log, stderr=log
        )
    finally:
        os.sched_setaffinity(0, {CLIENT_CORE})
    try:
        _wait_for(process, port, workers)
        yield Child(process.pid, port)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def ours(
    plan: Plan,
    *flags: str,
    module: str = "consentful_server",
    workers: int = 1,
    cores: Set[int] = frozenset({SERVER_CORE}),
) -> Generator[Child]:
    """Run the real server on a fresh store, with every limit as shipped but for `flags`."""
    folder = plan.new_folder(module.rpartition(".")[2])
    places = ("--data-dir", str(folder / "data"), "--keys-dir", str(folder / "keys"))
    fixed = (*FIXED, "--workers", str(workers))
    with start(module, "serve", *places, *fixed, *flags, workers=workers, cores=cores) as child:
        yield child


@contextmanager
def on_folder(places: tuple[str, ...], *flags: str) -> Generator[Child]:
    with start("consentful_server", "serve", *places, *FIXED, *flags) as child:
        yield child


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _wait_for(process: "subprocess.Popen[bytes]", port: int, workers: int) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}; set BENCH_LOG=1 to see why")
        if _listeners(port) == workers and _answers(port):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} does not answer; set BENCH_LOG=1 to see why")


def _listeners(port: int) -> int:
    """Return how many sockets listen on this port; workers have one each (SO_REUSEPORT)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for _, local, _, state, *_ in map(str.split, lines) if (state, int(local[9:], 16)) == ("0A", port))


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
