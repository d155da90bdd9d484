"""The load clients, in C: built once for each run, each answers with one line of JSON."""

import atexit
import json
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from .plan import Plan

_SOURCES = Path(__file__).parent
_BUSY = 0.9
_PATIENCE_S = 120.0


class NoCompiler(Exception):  # noqa: N818
    """There is no C compiler, so nothing could load a server enough."""

    def __str__(self) -> str:
        return "no C compiler (gcc or cc): a client in Python is slower than the servers it would measure"


@cache
def build(name: str) -> Path:
    """Return the program of this client, compiled when it is first asked for.

    Raises:
        NoCompiler: If there is none.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NoCompiler
    folder = Path(tempfile.mkdtemp(prefix="consentful-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    subprocess.run([compiler, "-O2", "-o", folder / name, _SOURCES / f"{name}.c"], check=True)
    return folder / name


def _command(program: str, port: int, options: dict[str, Any]) -> list[str]:
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [str(build(program)), "--port", str(port), *given]


def run(plan: Plan, program: str, port: int, **options: Any) -> dict[str, float]:
    """Return what the client measured.

    Raises:
        RuntimeError: If the server refused anything, or the client was so busy that it measured itself.
    """
    command = _command(program, port, options)
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_PATIENCE_S)
    if done.returncode:
        raise RuntimeError(f"{program} {options}: {done.stderr.strip()}")
    result: dict[str, float] = json.loads(done.stdout)
    busy = result["cpu"] / result["seconds"]
    if busy > _BUSY:
        plan.note(f"the client was busy {busy:.0%} of the time with {options}: the server may be faster than shown")
    return result


@contextmanager
def holding(port: int, **options: Any) -> Generator[None]:
    """Keep dialogs open, with all they said acked, until the block ends."""
    command = _command("load", port, options | {"hold": 1})
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            if process.stdout.readline() != "held\n":
                raise RuntimeError(f"could not hold {options}")
            yield
        finally:
            process.stdin.close()
            process.wait(_PATIENCE_S)
