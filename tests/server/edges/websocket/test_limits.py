"""A process that is full drops the dialog that does not fit, and no other."""

from collections.abc import Callable
from typing import Any

import pytest

from consentful.wire import Error, Message
from consentful_server.testing import Served

from .dialogs import expect_nothing_left

_BUDGET_BYTES = 1024 * 1024


@pytest.mark.parametrize("settings", [{"memory": _BUDGET_BYTES}])
async def test_a_message_that_does_not_fit_closes_4005_and_drops_the_dialog(
    dial: Callable[..., Any], service: Served
) -> None:
    live, other = await dial(), await dial()
    await live.open(dialog_id="d-1")
    await other.open(dialog_id="d-2")
    for _ in range(31):
        await live.say("x" * 32_000)

    await other.send(Message(1, "x" * 32_000))

    error = await other.receive(Error)
    assert (error.code, error.retry, error.retry_after_s) == ("overloaded", True, 5)
    assert await other.closed() == 4005
    await live.grant()
    await live.closed()
    await expect_nothing_left(service)


@pytest.mark.parametrize("settings", [{"memory": _BUDGET_BYTES}])
async def test_what_ends_makes_room_again(dial: Callable[..., Any], service: Served) -> None:
    for _ in range(40):
        live = await dial()
        await live.open()
        await live.say("x" * 32_000)
        await live.decline()
        await live.closed()

    await expect_nothing_left(service)
