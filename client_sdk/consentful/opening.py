"""How a chatbot opens a dialog: as a block, or to close it by itself."""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any, Final

import aiohttp

from . import arguments, wire
from .backoff import JITTER, Backoff
from .clock import Clock, SystemClock
from .dialog import Dialog
from .endpoint import TLS, Encoding, Endpoint, Token, live_url
from .errors import OutcomeUnknown
from .identifiers import uuid7
from .reconnector import Reconnector
from .transcript import Transcript, checked

_CLOCK: Final = SystemClock()


class Opening(AbstractAsyncContextManager[Dialog]):
    """A dialog that is about to be opened, once: `async with` closes it after the block, `await` leaves that to you."""

    def __init__(self, transcript: Transcript, reconnector: Reconnector, clock: Clock) -> None:
        self._start = partial(Dialog.start, transcript, reconnector, clock)
        self._is_used = False
        self._dialog: Dialog | None = None

    def __await__(self) -> Generator[Any, None, Dialog]:
        return self._open().__await__()

    async def __aenter__(self) -> Dialog:
        self._dialog = await self._open()
        return self._dialog

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._dialog is not None
        try:
            await self._dialog.close()
        except OutcomeUnknown:
            if error is None:
                raise  # otherwise the block's own error says what happened

    async def _open(self) -> Dialog:
        if self._is_used:
            raise RuntimeError("this dialog was opened already; call open_dialog again")
        self._is_used = True
        return await self._start()


def open_dialog(
    url: str,
    *,
    customer_id: str,
    dialog_id: str | None = None,
    language: str | None = None,
    bot: str | None = None,
    metadata: Mapping[str, str] | None = None,
    token: Token | None = None,
    timeout: float | None = None,
    reconnect_for: float = 120.0,
    encoding: Encoding = "json",
    heartbeat: float = 20.0,
    ssl: TLS | None = None,
    session: aiohttp.ClientSession | None = None,
    clock: Clock = _CLOCK,
    random: Callable[[], float] = JITTER,
) -> Opening:
    """Open a dialog at the service with this URL (ws, wss, http or https), and close it after the block.

        async with consentful.open_dialog(url, customer_id="c-42") as dialog: ...

        dialog = await consentful.open(url, customer_id="c-42")  # where a block does not fit, such as in handlers;
        await dialog.close()                                     # has the same parameters

    Leaving the block without a decision discards everything, here and at the server. Only if a `grant` was interrupted
    after consent was sent does the dialog stay as it is, for another `grant` or `decline`. If the program has not
    learned of that yet (because it swallowed the cancellation), leaving the block raises `OutcomeUnknown`.

    A dialog is used in the event loop in which it was opened; another one gets a `RuntimeError`. Once that loop is
    closed, `grant` and `decline` connect again in another. Where each call has its own loop, use `consentful.sync`.

    Args:
        url: The URL of the service; its path is kept, for services behind a prefix.
        customer_id: The chatbot's own id of the customer.
        dialog_id: The dialog's id. If absent, the SDK makes a UUIDv7, so that a replay names the same dialog.
        language: BCP 47 tag of messages without their own; it also selects the notice.
        bot: Which chatbot speaks.
        metadata: Further data to store with the dialog, at most 4 KiB.
        token: Sent as `Authorization: Bearer`. A callable is called again for each connection, in a thread unless it is
            `async`; it raises `Unauthorised` to stop, and any other exception to be called again.
        timeout: Seconds for the first connection; `reconnect_for` if absent. Set it to a few seconds where a customer
            waits: until then a server that is down holds the chatbot up.
        reconnect_for: Seconds without a server after which the SDK gives up, of an open dialog too. A warning is logged
            after three seconds without a server.
        encoding: `json` is readable with any tool; `msgpack` is smaller, by a quarter for short messages.
        heartbeat: Seconds of silence after which a ping is sent.
        ssl: Certificates to trust, as in aiohttp.
        session: An HTTP session to connect with, for proxies. Each dialog holds one connection of its connector, of
            which aiohttp's default allows 100: pass `aiohttp.TCPConnector(limit=0)`. The SDK's own has no limit.
        clock: Source of time, for tests.
        random: Returns numbers in [0, 1), for the jitter; for tests.

    Raises:
        Unavailable: If no server could be reached within `timeout`.
        Unauthorised, Forbidden: If the token is invalid, or lacks the scope.
        Finished: If the dialog id is taken (`Conflict`) or was erased (`Erased`).
        Refused: If the server refuses for another reason.
        TypeError: If an argument has another type, such as a number for an id.
        ValueError: If the URL or an argument is invalid (`BadFrame`).
    """
    opening = wire.Open(
        arguments.text("customer_id", customer_id),
        dialog_id=str(uuid7()) if dialog_id is None else arguments.text("dialog_id", dialog_id),
        language=arguments.text_or_none("language", language),
        bot=arguments.text_or_none("bot", bot),
        metadata=arguments.mapping_or_none("metadata", metadata),
    )
    checked(opening, wire.CODECS[wire.JSON])
    endpoint = Endpoint(
        url=live_url(url),
        token=token,
        encoding=encoding,
        ssl=True if ssl is None else ssl,
        heartbeat=heartbeat,
        clock=clock,
        session=session,
    )
    transcript = Transcript(opening)
    first = Backoff(reconnect_for if timeout is None else timeout, random)
    reconnector = Reconnector(transcript, endpoint, partial(Backoff, reconnect_for, random), clock, first=first)
    return Opening(transcript, reconnector, clock)
