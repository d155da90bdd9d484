"""`python -m bench [NAME …]`: run the benchmarks, each beside its peer, and print one table."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from rich.console import Console

from . import client
from .figure import Measured, show
from .plan import CLIENT_CORE, SERVER_CORE, Plan

WIDTH = 150
NAMES = (
    "dialogs",
    "ingest",
    "memory",
    "store",
    "consent",
    "page",
    "filters",
    "erase",
    "export",
    "meanwhile",
    "ack",
    "attacks",
)


def benchmark(name: str) -> Callable[[Plan], list[Measured]]:
    """Return what measures this; each is a module of its name."""
    return import_module(f"{__package__}.{name}").measure


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run, of: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="two rounds at a quarter of the size: a look, no figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.add_argument("--folder", type=Path, help="where the stores are, on the disk to measure")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in NAMES]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if SERVER_CORE == CLIENT_CORE:
        print("There is one core: servers and clients share it, and no figure counts.", file=sys.stderr)
    return _run(chosen.names or list(NAMES), chosen)


def _run(names: list[str], chosen: argparse.Namespace) -> int:
    console, progress = Console(), Console(stderr=True)
    console.width = max(console.width, WIDTH)
    cores = os.sched_getaffinity(0)
    rows: list[Measured] = []
    is_whole = True
    with tempfile.TemporaryDirectory(prefix="consentful-bench-", dir=chosen.folder) as folder:
        plan = Plan(Path(folder), rounds=2, scale=0.25) if chosen.quick else Plan(Path(folder))
        try:
            for name in names:
                began = time.monotonic()
                rows += benchmark(name)(plan)
                progress.print(f"{name} took {time.monotonic() - began:.0f} s")
        except client.NoCompiler as reason:
            is_whole = False
            progress.print(f"The rest was left out: {reason}")
        finally:
            os.sched_setaffinity(0, cores)
    show(rows, console)
    for note in plan.notes:
        console.print(f"note: {note}", highlight=False)
    if chosen.json:
        chosen.json.write_text(json.dumps({"rows": [row.as_json() for row in rows], "notes": plan.notes}, indent=1))
    return 0 if is_whole and all(row.figure.holds(row.ratio) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
