"""The JavaScript SDK in Node: a module of the test's, run as a program of its own."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

from needs import need

SDK: Final = Path(__file__).parent.parent / "static" / "consentful.js"
_WITHIN_S: Final = 30.0
_PRELUDE: Final = """
import { readFileSync } from "node:fs";
const { source, given } = JSON.parse(readFileSync(0, "utf-8"));
const sdk = await import(`data:text/javascript,${encodeURIComponent(source)}`); // a module, whatever its folder says
"""


async def in_node(script: str, given: Any = None, *, before: str = "", folder: Path | None = None) -> Any:
    """Return what the module prints, decoded from JSON. It has the SDK as `sdk`, and `given`.

    `before` runs before the SDK is imported. Packages are searched for in `folder`. A program that fails, or that
    writes to stderr, fails the test.
    """
    process = await asyncio.create_subprocess_exec(
        need("node"),
        "--input-type=module",
        "--eval",
        before + _PRELUDE + script,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    program = json.dumps({"source": SDK.read_text("utf-8"), "given": given}).encode()
    try:
        said, complaints = await asyncio.wait_for(process.communicate(program), _WITHIN_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, complaints.decode()) == (0, "")
    return json.loads(said)
