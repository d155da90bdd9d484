"""What is no frame is told by its path, never by its value (contract §1, rule 7)."""

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType

from consentful.wire import Error, Message
from consentful_server.testing import Served
from kept import texts
from live import Live

from .dialogs import MARKER, expect_nothing_left

BAD_FRAMES: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{" + MARKER.encode(), "$: "),
    "nothing": (b"", "$: "),
    "no object": (b'"' + MARKER.encode() + b'"', "$: "),
    "deep": (b"[" * 100_000, "$: "),
    "no type": (b'{"seq":1}', "$: "),
    "unknown type": (b'{"type":"%b"}' % MARKER.encode(), "$.type: "),
    "unknown field": (b'{"type":"message","seq":2,"text":"x","%b":1}' % MARKER.encode(), "$: "),
    "no text": (b'{"type":"message","seq":2}', "$: "),
    "empty text": (b'{"type":"message","seq":2,"text":""}', "$.text: "),
    "text of another type": (b'{"type":"message","seq":2,"text":["%b"]}' % MARKER.encode(), "$.text: "),
    "half a surrogate": (b'{"type":"message","seq":2,"text":"\\ud800"}', "$: "),
    "seq zero": (b'{"type":"message","seq":0,"text":"x"}', "$.seq: "),
    "seq negative": (b'{"type":"message","seq":-1,"text":"x"}', "$.seq: "),
    "seq huge": (b'{"type":"message","seq":99999999999999999999,"text":"x"}', "$"),
    "seq a fraction": (b'{"type":"message","seq":1.5,"text":"x"}', "$.seq: "),
    "seq a text": (b'{"type":"message","seq":"1","text":"x"}', "$.seq: "),
    "unknown role": (b'{"type":"message","seq":2,"text":"x","role":"%b"}' % MARKER.encode(), "$.role: "),
    "no language": (b'{"type":"message","seq":2,"text":"x","language":"notalanguage"}', "$.language: "),
    "time without an offset": (
        b'{"type":"message","seq":2,"text":"x","sent_at":"2026-01-01T00:00:00"}',
        "$.sent_at: ",
    ),
    "no time": (b'{"type":"message","seq":2,"text":"x","sent_at":"%b"}' % MARKER.encode(), "$.sent_at: "),
    "consent without granted": (b'{"type":"consent","last_seq":1}', "$: "),
    "consent granted by text": (b'{"type":"consent","granted":"true","last_seq":1}', "$.granted: "),
    "consent granted by number": (b'{"type":"consent","granted":1,"last_seq":1}', "$.granted: "),
    "consent without last_seq": (b'{"type":"consent","granted":true}', "$: "),
    "consent with a negative last_seq": (b'{"type":"consent","granted":true,"last_seq":-1}', "$.last_seq: "),
    "purpose of another type": (b'{"type":"consent","granted":true,"last_seq":1,"purposes":[1]}', "$.purposes["),
    "given by nobody known": (
        b'{"type":"consent","granted":true,"last_seq":1,"given_by":"%b"}' % MARKER.encode(),
        "$.given_by: ",
    ),
    "metadata with a telling key": (
        b'{"type":"open","customer_id":"c","metadata":{"%b":1}}' % MARKER.encode(),
        "$",
    ),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
async def test_a_bad_frame_is_told_by_its_path_without_its_value_and_the_dialog_goes_on(
    live: Live, http: ClientSession, name: str
) -> None:
    frame, path = BAD_FRAMES[name]
    await live.open()
    await live.say("first")

    await live.send_raw(frame)

    error = await live.receive(Error)
    assert error.code == "frame"
    assert error.detail.startswith(path)
    assert MARKER not in error.detail
    await live.grant()
    assert await texts(http) == ["first"]


async def test_after_twenty_bad_frames_the_socket_is_closed(live: Live, service: Served) -> None:
    await live.open()
    for _ in range(19):
        await live.send_raw(b"{}")
    for _ in range(19):
        assert (await live.receive(Error)).code == "frame"
    await live.say("nineteen are borne")

    await live.send_raw(b"{}")

    frames, code = await live.until_closed()
    assert [type(frame) for frame in frames] == [Error]
    assert code == 4500
    await expect_nothing_left(service)


async def test_a_binary_frame_in_the_json_subprotocol_is_a_bad_frame(live: Live) -> None:
    await live.open()

    await live.socket.send_bytes(b"\xff\xfe not UTF-8, and need not be")

    assert (await live.receive(Error)).code == "frame"
    await live.say("and it goes on")


async def test_a_text_frame_in_the_msgpack_subprotocol_is_a_bad_frame(dial: Callable[..., Any]) -> None:
    live = await dial(protocols=["consentful.v1.msgpack"])
    await live.open()

    await live.socket.send_str('{"type":"message","seq":1,"text":"Hi"}')

    assert (await live.receive(Error)).code == "frame"
    await live.say("and it goes on")


@pytest.mark.parametrize("subprotocol", ["consentful.v1.json", "consentful.v1.msgpack"])
async def test_a_text_frame_that_is_not_utf8_closes_1007(
    dial: Callable[..., Any], service: Served, subprotocol: str
) -> None:
    live = await dial(protocols=[subprotocol])
    await live.open()

    await live.socket.send_frame(b'{"type":"message","seq":1,"text":"\xff"}', WSMsgType.TEXT)

    assert await live.closed() == 1007
    await expect_nothing_left(service)


async def test_a_string_that_is_not_utf8_in_msgpack_is_a_bad_frame(dial: Callable[..., Any]) -> None:
    live = await dial(protocols=["consentful.v1.msgpack"])
    await live.open()

    await live.send_raw(live.codec.encode(Message(1, "Hi")).replace(b"Hi", b"\xff\xff"))

    assert (await live.receive(Error)).code == "frame"


async def test_a_frame_over_the_limit_closes_1009(live: Live, http: ClientSession, service: Served) -> None:
    opened = await live.open()

    await live.send_raw(b" " * (opened.limits.max_frame_bytes + 1))

    assert await live.closed() == 1009
    assert await texts(http) == []
    await expect_nothing_left(service)
