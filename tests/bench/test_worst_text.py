"""Live dialogs of the worst text: one emoji makes CPython keep four bytes for each character beside it (PEP 393)."""

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession

from bench import child
from bench.plan import Plan
from live import connect

_TEXT = "a" * 15_000 + "\N{GRINNING FACE}"
_DIALOGS, _MESSAGES = 16, 40


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Plan]:
    cores = os.sched_getaffinity(0)
    yield Plan(tmp_path)
    os.sched_setaffinity(0, cores)


async def counted(http: ClientSession) -> int:
    """Return the bytes that the process counts for its live dialogs."""
    async with http.get("/metrics") as response:
        found = re.search(r"^consentful_dialogs_bytes (\S+)$", await response.text(), re.MULTILINE)
    assert found
    return int(float(found[1]))


async def test_they_take_the_memory_that_is_counted_for_them(plan: Plan) -> None:
    with child.ours(plan) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with ClientSession(url) as http, ClientSession() as session:

            async def spoken() -> None:
                live = await stack.enter_async_context(connect(session, url))
                await live.open()
                for _ in range(_MESSAGES):
                    await live.say(_TEXT)

            async with AsyncExitStack() as stack:
                await spoken()  # what a first dialog loads
                before, counted_before = server.anonymous_bytes(), await counted(http)
                await asyncio.gather(*(spoken() for _ in range(_DIALOGS)))
                taken = server.anonymous_bytes() - before
                told = await counted(http) - counted_before

    assert told > _DIALOGS * _MESSAGES * 4 * len(_TEXT)
    assert taken < 1.2 * told
