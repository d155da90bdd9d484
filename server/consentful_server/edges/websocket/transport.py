"""What a live dialog needs of the WebSocket below it: frames out, and frames that come in held back."""

from typing import Any, Protocol, TypeAlias

from aiohttp import WSMsgType

Frame: TypeAlias = tuple[WSMsgType, Any, Any]
"""One message as aiohttp's reader returns it: its kind, its payload (the code of a close frame), and nothing of use."""


class FrameTransport(Protocol):
    """One client's WebSocket, seen from above its frames. No method waits, and none raises.

    What is sent after the close frame, or once the connection is lost, is dropped: a client that misses an answer
    replays its dialog.
    """

    @property
    def unread(self) -> int:
        """Bytes that were sent and that the client has not read, as far as this process can tell."""
        ...

    def send(self, payload: bytes, *, more: bool = False) -> None:
        """Send a data frame, text or binary as the subprotocol asks for.

        With `more` it waits for the next frame, which must follow in the same turn of the loop: both are one write.
        """
        ...

    def send_ping(self) -> None:
        """Ask the client for a sign of life (RFC 6455 §5.5.2)."""
        ...

    def send_pong(self, payload: bytes) -> None:
        """Answer a ping (RFC 6455 §5.5.3)."""
        ...

    def send_close(self, code: int, reason: str) -> None:
        """Send the close frame (RFC 6455 §5.5.1). Only the first one is sent."""
        ...

    def pause_frames(self) -> None:
        """Keep the client's frames back; at some point nothing more is read from it."""
        ...

    def resume_frames(self) -> None:
        """Go on with the frames that were kept back, in order."""
        ...

    def abort(self) -> None:
        """Drop the connection, and with it whatever the client has not read."""
        ...
