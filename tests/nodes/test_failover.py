"""The primary dies, and its standby is promoted: what was answered with `stored` is there if PostgreSQL waits for the
standby, and some of it is lost if it does not.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from .chatbots import Chatbots
from .house import House, house

_SOME = 10
_PATIENCE_S = 180


async def promote_the_standby(house: House, chatbots: Chatbots) -> None:
    """The primary's machine is gone; a failover manager promotes the standby."""
    assert house.standby is not None
    await house.database.killed()
    await chatbots.until_felt()
    await house.standby.promote()
    await chatbots.more(_SOME)


@pytest.mark.parametrize("dialogs", [100, pytest.param(1_000, marks=pytest.mark.prove)])
async def test_a_synchronous_standby_has_all_that_was_acknowledged(tmp_path: Path, dialogs: int) -> None:
    async with house(tmp_path, waits_for_standby=True) as running:
        chatbots = running.chatbots(dialogs, seed=1)
        async with asyncio.timeout(_PATIENCE_S), asyncio.TaskGroup() as group:
            group.create_task(chatbots.talk())
            await chatbots.more(dialogs // 2)
            async with chatbots.lingering():
                await promote_the_standby(running, chatbots)
            chatbots.stop()

        verdict = await running.judge(chatbots)

    sys.stdout.write(f"promote_the_standby | 1 | {verdict} | {chatbots.retries}\n")
    assert verdict.is_right, verdict


async def test_an_asynchronous_standby_loses_what_it_had_not_received(tmp_path: Path) -> None:
    """The control: without it, the test above could pass because nothing is ever lost."""
    async with house(tmp_path, waits_for_standby=False) as running:
        assert running.standby is not None
        receiver = await running.standby.stop_receiving()
        chatbots = running.chatbots(_SOME * 2, seed=1)
        chatbots.stop()
        async with asyncio.timeout(_PATIENCE_S):
            await chatbots.talk()
            await running.database.killed()
            os.kill(receiver, signal.SIGTERM)  # it ends when it continues: the kernel has received what it has not
            os.kill(receiver, signal.SIGCONT)
            await running.standby.promote()

            verdict = await running.judge(chatbots)

    assert verdict.errors == []
    assert len(verdict.lost) == verdict.granted > 0
