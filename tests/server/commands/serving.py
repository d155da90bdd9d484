"""`consentful serve` as a process of its own."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

_START_S = 60


async def start(*arguments: str, environment: Mapping[str, str] | None = None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "consentful_server",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | (environment or {}),
    )


Said = list[str]
Serving = tuple[str, Said, asyncio.subprocess.Process]


@asynccontextmanager
async def serving(*arguments: str, environment: Mapping[str, str] | None = None) -> AsyncGenerator[Serving]:
    """Run `consentful serve` with these arguments: yield its address, the lines that it writes, and the process.

    Each of its workers serves by then, and what it writes later is added to the lines when the process has ended.
    """
    workers = int(arguments[arguments.index("--workers") + 1]) if "--workers" in arguments else 1
    child = await start("serve", *arguments, "--log-format", "json", environment=environment)
    assert child.stderr is not None
    said: Said = []
    try:
        await until_said(child, said, '"serving"', workers)
        yield json.loads(said[-1])["url"], said, child
    finally:
        if child.returncode is None:
            child.terminate()
        _, rest = await child.communicate()
        said += rest.decode().splitlines()


async def until_said(child: asyncio.subprocess.Process, said: Said, words: str, times: int = 1) -> None:
    """Add the lines that the process writes until one with these words was written so often."""
    assert child.stderr is not None
    async with asyncio.timeout(_START_S):
        while times:
            line = (await child.stderr.readline()).decode()
            assert line, said
            said.append(line)
            times -= words in line
