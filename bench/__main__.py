"""`python -m bench [NAME …]`: run the benchmarks, each beside its peer, and print one table."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from rich.console import Console

from . import client
from .conditions import Others, conditions
from .figure import Measured, show
from .plan import CLIENT_CORE, SERVER_CORE, Plan
from .plot import svg

WIDTH = 172
NAMES = (
    "dialogs",
    "at_once",
    "consent",
    "ingest",
    "workers",
    "postgres",
    "memory",
    "ack",
    "many",
    "store",
    "erase",
    "page",
    "filters",
    "export",
    "growth",
    "move",
    "meanwhile",
    "attacks",
)
RESULTS = Path(__file__).parent / "results"


def benchmark(name: str) -> Callable[[Plan], list[Measured]]:
    """Return what measures this; each is a module of its name."""
    return import_module(f"{__package__}.{name}").measure


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run, of: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="two rounds at a quarter of the size: a look, no figure")
    parser.add_argument(
        "--results", type=Path, metavar="FOLDER", default=RESULTS, help="where results.json and the plot go"
    )
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
    with tempfile.TemporaryDirectory(prefix="consentful-bench-", dir=chosen.folder) as folder:
        plan = Plan(Path(folder), rounds=2, scale=0.25) if chosen.quick else Plan(Path(folder))
        head = conditions(plan.folder)
        rows, is_whole = _measure(names, plan, progress)
    for line in head:
        console.print(line, highlight=False)
    show(rows, console)
    for note in plan.notes:
        console.print(f"note: {note}", highlight=False)
    _write(chosen.results, head, rows, plan)
    return 0 if is_whole and all(row.figure.holds(row.ratio) for row in rows) else 1


def _measure(names: list[str], plan: Plan, progress: Console) -> tuple[list[Measured], bool]:
    """Return what was measured, and whether all was; afterwards this process may use all its cores again."""
    cores = os.sched_getaffinity(0)
    rows: list[Measured] = []
    is_whole = True
    try:
        for name in names:
            began, others = time.monotonic(), Others()
            try:
                measured = benchmark(name)(plan)
            except RuntimeError as reason:  # what the others measured is not lost
                plan.note(f"{name} was left out: {reason}")
                is_whole = False
                continue
            rows += (replace(row, others=others.cores()) for row in measured)
            progress.print(f"{name} took {time.monotonic() - began:.0f} s")
    except client.NoCompiler as reason:
        progress.print(f"The rest was left out: {reason}")
        is_whole = False
    finally:
        os.sched_setaffinity(0, cores)
    return rows, is_whole


def _write(folder: Path, head: list[str], rows: list[Measured], plan: Plan) -> None:
    """Write all that was measured, for `python -m bench.publish`, and the plot."""
    folder.mkdir(exist_ok=True)
    curves = [curve.as_json() for curve in plan.curves]
    result = {"conditions": head, "rows": [row.as_json() for row in rows], "curves": curves, "notes": plan.notes}
    (folder / "results.json").write_text(json.dumps(result, indent=1, ensure_ascii=False), "utf-8")
    (folder / "growth.svg").write_text(svg(curves), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
