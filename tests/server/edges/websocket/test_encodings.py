"""The same frames in JSON, in MessagePack and compressed."""

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from consentful_server.testing import Served
from kept import messages, texts

from .dialogs import replay


async def test_msgpack_carries_the_same_frames(dial: Callable[..., Any], http: ClientSession) -> None:
    live = await dial(protocols=["consentful.v1.msgpack"])
    await live.open(dialog_id="d-1", metadata={"k": "v"})
    await live.say("one")

    stored = await live.grant()

    assert stored == await (await replay(dial, "one")).grant()
    assert await texts(http) == ["one"]


@pytest.mark.parametrize("settings", [{"compress": True}])
async def test_compressed_frames_are_understood(service: Served, http: ClientSession) -> None:
    async with http.ws_connect("/v1/dialogs/live", compress=15) as line:
        assert line.compress
        await line.send_str('{"type":"open","customer_id":"c-1"}')
        assert (await line.receive_json())["type"] == "opened"
        await line.send_str('{"type":"message","seq":1,"text":"%s"}' % ("Hi " * 1000))
        assert await line.receive_json() == {"type": "ack", "seq": 1}
        await line.send_str('{"type":"consent","granted":true,"last_seq":1}')
        assert (await line.receive_json())["type"] == "stored"

    assert len(await messages(http)) == 1


async def test_the_example_of_the_contract(http: ClientSession) -> None:
    async with http.ws_connect("/v1/dialogs/live") as line:
        await line.send_str('{"type":"open","customer_id":"c-42","language":"EN"}')
        await line.send_str('{"type":"message","seq":1,"text":"Hi"}')
        await line.send_str('{"type":"consent","granted":true,"last_seq":1}')

        kinds = [message.json()["type"] async for message in line]

    assert kinds == ["opened", "ack", "stored"]
