"""Bare aiohttp that speaks the same frames: no rules, limits, sealing or storage; and a body that never changes."""

import asyncio
import gc
from datetime import UTC, datetime
from typing import Any

import uvloop
from aiohttp import WSMsgType, web

from consentful import wire

from .port import option, port

_CODEC = wire.CODECS[wire.JSON]
_NOTICE = wire.Notice("default", "en", "n" * 400, "0" * 64, ["improve-chatbot"])
_RECEIPT = "r" * 900


async def live(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(heartbeat=25.0, compress=False, decode_text=False)
    await socket.prepare(request)
    held: list[wire.FromClient] = []
    acking: asyncio.Task[None] | None = None

    async def send(frame: wire.FromServer) -> None:
        await socket.send_frame(_CODEC.encode(frame), WSMsgType.TEXT)

    async def ack() -> None:
        nonlocal acking
        acking = None
        await send(wire.Ack(len(held)))

    while (message := await socket.receive()).type is WSMsgType.TEXT:
        frame = _CODEC.decode_client(message.data)
        if isinstance(frame, wire.Message):
            held.append(frame)
            if acking is None:
                acking = asyncio.create_task(ack())
        elif isinstance(frame, wire.Open):
            await send(wire.Opened("0" * 36, _NOTICE, wire.Limits()))
        else:
            await send(wire.Stored("0" * 36, len(held), datetime.now(UTC), _RECEIPT, "A" * 31))
            await socket.close()
    return socket


def app() -> web.Application:
    body = b"x" * int(option("body", "0"))

    async def static(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    application = web.Application()
    application.add_routes([web.get("/v1/dialogs/live", live), web.get("/static", static)])
    return application


async def main() -> None:
    runner = web.AppRunner(app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port(), backlog=4096).start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    forever: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    await forever


if __name__ == "__main__":
    uvloop.run(main())
