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
    _note_if_busy(plan, result, options)
    return result


def _note_if_busy(plan: Plan, result: dict[str, float], options: dict[str, Any]) -> None:
    busy = result["cpu"] / result["seconds"]
    if busy > _BUSY:
        plan.note(f"the client was busy {busy:.0%} of the time with {options}: the server may be faster than shown")


class Holder:
    """A client that keeps its dialogs open, with all they said acked."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin
        assert process.stdout
        self._told, self._says = process.stdin, process.stdout

    def wait_until_held(self) -> None:
        """Wait until all of its dialogs are open and acked.

        Raises:
            RuntimeError: If the server refused any.
        """
        if self._says.readline() != "held\n":
            raise RuntimeError("could not hold the dialogs")

    def begin_to_speak(self) -> None:
        """From now on, let each dialog say something every so many seconds, as `every` said."""
        self._tell()

    def stop_speaking(self) -> dict[str, float]:
        """Return what was measured since they began to speak.

        Raises:
            RuntimeError: If the client has ended, because the server refused something.
        """
        self._tell()
        if not (result := self._says.readline()):
            raise RuntimeError("the client has ended")
        return json.loads(result)

    def _tell(self) -> None:
        self._told.write("\n")
        self._told.flush()


@contextmanager
def holding(port: int, **options: Any) -> Generator[Holder]:
    """Keep dialogs open, with all they said acked, until the block ends."""
    with started_holding(port, **options) as holder:
        holder.wait_until_held()
        yield holder


@contextmanager
def started_holding(port: int, **options: Any) -> Generator[Holder]:
    """Begin to open dialogs that stay open until the block ends."""
    command = _command("load", port, options | {"hold": 1})
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        try:
            yield Holder(process)
        finally:
            process.stdin.close()
            process.wait(_PATIENCE_S)
