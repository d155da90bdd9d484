"""Two releases side by side behind nginx, on one PostgreSQL, while chatbots talk: none of them notices the upgrade.

The later one is built from this tree, with another version and a step of the schema beside which this one may run.
`make prove` goes there, back and there again, with 1,000 conversations.
"""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from .chatbots import Chatbots
from .house import House, house
from .node import Node
from .release import STEP, Release, next_release, this_release

_SOME: Final = 10
_PATIENCE_S: Final = 180

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Release]:
    return this_release(tmp_path_factory.mktemp("this")), next_release(tmp_path_factory.mktemp("next"))


@pytest_asyncio.fixture(loop_scope="module")
async def running(tmp_path: Path, releases: tuple[Release, Release]) -> AsyncGenerator[House]:
    async with house(tmp_path, release=releases[0]) as built:
        yield built


class State(NamedTuple):
    """What a node runs, and what it does."""

    version: str
    opened: float
    live: float

    def serves_since(self, earlier: "State") -> bool:
        return self.opened > earlier.opened or self.live > 0


async def states_of(house: House) -> list[State]:
    return [await _state_of(node) for node in house.nodes]


async def _state_of(node: Node) -> State:
    async with ClientSession(node.url) as http, http.get("/metrics") as response:
        page = await response.text()
    version = _found(r'consentful_build_info\{version="(.+)"\} 1\.0', page)
    opened, live = (_found(rf"consentful_dialogs_{name} (\S+)", page) for name in ("opened_total", "live"))
    return State(version, float(opened), float(live))


def _found(pattern: str, page: str) -> str:
    """Return what a line of the metrics says."""
    line = re.search(f"^{pattern}$", page, re.MULTILINE)
    assert line is not None, pattern
    return line[1]


async def replace_the_nodes(house: House, chatbots: Chatbots, release: Release) -> None:
    """Replace one node after the other by another release; meanwhile both serve."""
    for node in house.nodes:
        assert await node.end(signal.SIGTERM) == 0
        node.release = release
        await node.start()
        before = await states_of(house)
        await chatbots.more(2 * _SOME)
        after = await states_of(house)
        assert [state.version for state in after] == [each.release and each.release.version for each in house.nodes]
        assert all(now.serves_since(then) for now, then in zip(after, before, strict=True))


@pytest.mark.parametrize(
    ("dialogs", "times"),
    [pytest.param(100, 1, id="once"), pytest.param(1_000, 3, id="there and back, long", marks=pytest.mark.prove)],
)
async def test_no_chatbot_notices_that_a_release_is_replaced_by_another(
    running: House, releases: tuple[Release, Release], dialogs: int, times: int
) -> None:
    this, later = releases
    chatbots = running.chatbots(dialogs, seed=11)
    async with asyncio.timeout(_PATIENCE_S * times), asyncio.TaskGroup() as group:
        group.create_task(chatbots.talk())
        for turn in range(times):
            await chatbots.more(_SOME)
            async with chatbots.lingering():
                await replace_the_nodes(running, chatbots, this if turn % 2 else later)
        chatbots.stop()

    verdict = await running.judge(chatbots)

    sys.stdout.write(f"replace_the_nodes | {times} | {verdict} | {chatbots.retries}\n")
    assert chatbots.retries.count, "nothing failed for any chatbot"
    assert await running.database.ask("SELECT name FROM schema_migrations ORDER BY number DESC LIMIT 1") == STEP
    assert verdict.is_right, verdict
