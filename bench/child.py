"""Servers as processes of their own, on a core of their own; each is ended by the process that started it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .plan import CLIENT_CORE, SERVER_CORE, Plan

ROOT = Path(__file__).parent.parent
UNHURRIED = tuple(f"--{share}-per-second=1000000000000" for share in ("opens", "frames", "bytes"))
"""One client does here what thousands would; it is still charged for all of it."""

_START_S = 20.0
_STOP_S = 20.0


@dataclass(frozen=True)
class Child:
    """A server that answers on its port."""

    pid: int
    port: int

    def anonymous_bytes(self) -> int:
        """Return the memory that is the process's own: what it was given, less what files back."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Anonymous:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the kernel does not tell")


@contextmanager
def start(module: str, *arguments: str, port: int | None = None) -> Generator[Child]:
    """Run `python -m module arguments --port N` until the block ends."""
    port = port or _free_port()
    log = subprocess.DEVNULL if not os.environ.get("BENCH_LOG") else None
    os.sched_setaffinity(0, {SERVER_CORE})  # inherited by the child and all its threads
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--port", str(port)], cwd=ROOT, stdout=log, stderr=log
        )
    finally:
        os.sched_setaffinity(0, {CLIENT_CORE})
    try:
        _wait_for(process, port)
        yield Child(process.pid, port)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def ours(plan: Plan, *flags: str, module: str = "consentful_server") -> Generator[Child]:
    """Run the real server on a fresh store, with every limit as shipped but for `flags`."""
    folder = plan.new_folder(module.rpartition(".")[2])
    places = ("--data-dir", str(folder / "data"), "--keys-dir", str(folder / "keys"))
    with on_folder(places, *flags, module=module) as child:
        yield child


@contextmanager
def on_folder(places: tuple[str, ...], *flags: str, module: str = "consentful_server") -> Generator[Child]:
    fixed = ("--auth", "none", "--grace", "0", "--log-level", "warning")
    with start(module, "serve", *places, *fixed, *UNHURRIED, *flags) as child:
        yield child


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}; set BENCH_LOG=1 to see why")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args} does not answer; set BENCH_LOG=1 to see why")
