"""`python -m bench.publish FILE …`: write results into the README, the documentation and its picture.

Where several files have the same figure, the last one counts.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .figure import markdown
from .plot import svg

ROOT: Final = Path(__file__).parent.parent
SOURCE: Final = "docs/benchmarks.json"
PICTURE: Final = "docs/images/growth.svg"
HEADLINES: Final = (
    "whole dialogs: ours / bare aiohttp",
    "CPU of a whole dialog, all threads",
    "whole dialogs, messages one by one: ours / bare aiohttp",
    "whole dialogs: ours / Flask, gunicorn, SQLite",
    "whole dialogs: ours / FastAPI, aiosqlite",
    "ingest, 64 in flight: ours / picows",
    "ingest, 1 in flight: ours / picows",
    "memory of an open dialog, 10,000 open",
    "ack: p99 with 10,000 open / with 100 open",
    "page: p50 at the 500th / the first",
    "page by a rare filter / without, 3,000,000 messages",
    "export: NDJSON over HTTP / sqlite3 shell, plain rows",
    "export: extra memory, 1,000,000 rows",
    "erase one of 1,000,000 dialogs / of 100",
)
"""The figures that the README shows."""


def merged(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the results of several runs as one."""
    rows = {row["figure"]: row for result in results for row in result["rows"]}
    curves = {curve["title"]: curve for result in results for curve in result["curves"]}
    return {
        "conditions": results[-1]["conditions"],
        "rows": list(rows.values()),
        "curves": list(curves.values()),
        "notes": list(dict.fromkeys(note for result in results for note in result["notes"])),
    }


def headlines(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row for name in HEADLINES for row in result["rows"] if row["figure"] == name]


def filled(page: str, name: str, text: str) -> str:
    """Return the page with this text between the comments that name it.

    Raises:
        ValueError: If the page has no such place.
    """
    place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    page, times = place.subn(lambda found: f"{found[1]}\n{text}\n{found[2]}", page)
    if times != 1:
        raise ValueError(f"{times} places for {name}")
    return page


def pages(result: Mapping[str, Any]) -> dict[str, str]:
    """Return what each file is to contain."""
    head = "".join(f"- {line}\n" for line in (*result["conditions"], *result["notes"]))
    short = "".join(f"{line}.\n" for line in result["conditions"][:2])
    readme, longer = ((ROOT / name).read_text("utf-8") for name in ("README.md", "docs/benchmarks.md"))
    return {
        SOURCE: json.dumps(result, indent=1, ensure_ascii=False) + "\n",
        PICTURE: svg(result["curves"]),
        "README.md": filled(filled(readme, "figures", markdown(headlines(result))), "conditions", short),
        "docs/benchmarks.md": filled(filled(longer, "figures", markdown(result["rows"])), "conditions", head),
    }


def main(names: Sequence[str]) -> None:
    result = merged([json.loads(Path(name).read_text("utf-8")) for name in names])
    for name, text in pages(result).items():
        (ROOT / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
