"""The WebSocket itself, below every dialog: how it is closed, and how long a client may take to answer."""

from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

HEARTBEAT_S: Final = 25.0
CLOSE_ANSWER_S: Final = 5.0
"""How long a client may take to answer a close frame."""


class Socket(web.WebSocketResponse):
    """A WebSocket that can be closed while another task waits for its next frame.

    aiohttp's own close ends that wait by dropping the line, and the reset of what the client still sends could
    overtake the close code. So the close frame goes alone, and the line stays until it is answered (RFC 6455 §7.1.1).
    """

    _said_goodbye = False

    async def say_goodbye(self, code: int, reason: str) -> None:
        """Send a close frame. It is the last one, and a second would be an error (RFC 6455 §5.5.1)."""
        if not (self._said_goodbye or self.closed):
            self._said_goodbye = True
            await self.send_frame(code.to_bytes(2, "big") + reason.encode(), WSMsgType.CLOSE)

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        return self._said_goodbye or await super().close(code=code, message=message, drain=drain)
