"""A picows server that decodes with the same codec, holds, and acks once a turn of the loop: the fastest there is."""

import asyncio
import gc

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server  # pyright: ignore[reportUnknownVariableType]

from consentful import wire

from .port import port

_CODEC = wire.CODECS[wire.JSON]
_NOTICE = wire.Notice("default", "en", "n" * 400, "0" * 64, ["improve-chatbot"])


class Holder(WSListener):
    """Holds one dialog's messages."""

    def __init__(self) -> None:
        self.held: list[wire.FromClient] = []
        self.ack_due = False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            transport.disconnect()
            return
        message = _CODEC.decode_client(frame.get_payload_as_bytes())
        if isinstance(message, wire.Message):
            self.held.append(message)
            if not self.ack_due:
                self.ack_due = True
                asyncio.get_running_loop().call_soon(self._ack, transport)
        else:
            transport.send(WSMsgType.TEXT, _CODEC.encode(wire.Opened("0" * 36, _NOTICE, wire.Limits())))

    def _ack(self, transport: WSTransport) -> None:
        self.ack_due = False
        transport.send(WSMsgType.TEXT, _CODEC.encode(wire.Ack(len(self.held))))


def _listener(_: WSUpgradeRequest) -> Holder:
    return Holder()


async def main() -> None:
    server = await ws_create_server(_listener, "127.0.0.1", port(), backlog=4096)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
