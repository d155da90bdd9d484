"""Two nodes behind nginx, and one failure after the other while chatbots talk: none of them notices anything.

No granted dialog is lost, none is stored twice, none that was refused or left undecided is stored, and no chatbot is
told of an error. `make prove` holds 1,000 conversations for each failure, and prints the table of docs/nodes.md.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Final, TypeAlias

import pytest
import pytest_asyncio

from .chatbots import Chatbots
from .house import House, house

Failure: TypeAlias = Callable[[House, Chatbots], Awaitable[None]]

_SOME: Final = 10
_PATIENCE_S: Final = 180

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    async with house(folder) as built:
        yield built


async def restart_the_nodes(house: House, chatbots: Chatbots) -> None:
    """A deploy: one node after the other drains, ends and starts again."""
    for node in house.nodes:
        assert await node.end(signal.SIGTERM) == 0
        await chatbots.more(_SOME)
        await node.start()
        await chatbots.more(_SOME)


async def kill_a_node(house: House, chatbots: Chatbots) -> None:
    node = house.nodes[0]
    await node.end(signal.SIGKILL)
    await chatbots.more(_SOME)
    await node.start()


async def kill_the_database(house: House, chatbots: Chatbots) -> None:
    del chatbots
    await house.database.killed()
    await house.database.start()


async def cut_a_node_off_the_database(house: House, chatbots: Chatbots) -> None:
    node = house.nodes[1]
    house.network.pull(node.room, "back")
    await node.until_failing()
    await chatbots.more(_SOME)
    house.network.plug(node.room, "back")


async def cut_a_node_off(house: House, chatbots: Chatbots) -> None:
    """A node that nobody reaches any more, while it runs on."""
    node = house.nodes[0]
    house.network.pull(node.room, "front", "back")
    await node.until_failing()
    await chatbots.more(_SOME)
    house.network.plug(node.room, "front", "back")


_FELT: Final = (restart_the_nodes, kill_a_node, kill_the_database)
"""Some SDK has to try something again. A node that is cut off may be back before that."""

FAILURES: Final = (restart_the_nodes, kill_a_node, kill_the_database, cut_a_node_off_the_database, cut_a_node_off)


@pytest.mark.parametrize(
    ("failure", "dialogs", "times"),
    [
        *(
            pytest.param(it, 100, 1, id=it.__name__) for it in FAILURES if it is not cut_a_node_off
        ),  # that takes longest
        *(pytest.param(it, 1_000, 5, id=f"{it.__name__}, long", marks=pytest.mark.prove) for it in FAILURES),
    ],
)
async def test_no_chatbot_notices_and_what_was_granted_is_stored_once(
    running: House, failure: Failure, dialogs: int, times: int
) -> None:
    chatbots = running.chatbots(dialogs, seed=FAILURES.index(failure))
    async with asyncio.timeout(_PATIENCE_S * times), asyncio.TaskGroup() as group:
        group.create_task(chatbots.talk())
        for _ in range(times):
            await chatbots.more(_SOME)
            async with chatbots.lingering():
                await failure(running, chatbots)
        chatbots.stop()

    verdict = await running.judge(chatbots)

    sys.stdout.write(f"{failure.__name__} | {times} | {verdict} | {chatbots.retries}\n")
    if failure in _FELT:
        assert chatbots.retries.count, "nothing failed for any chatbot"
    assert verdict.is_right, verdict
