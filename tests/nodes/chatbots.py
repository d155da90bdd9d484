"""Chatbots that replay real conversations through the SDK, with its own settings, and note what they are told."""

import asyncio
import logging
import random
import ssl
import time
import warnings
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Final

import consentful
from consentful.wire import Stored
from consentful_server.commands.client.demo import Scene, choose_scenes, corpus

AT_ONCE: Final = 16
_MOST_DIALOGS: Final = 7_000
_ROUNDS: Final = 3
"""How often the conversations are held again, under new ids, if a failure takes that long."""
_HESITATES: Final = 0.1
_MOST_S: Final = 0.02
_UNNOTICED: Final = 300
_LINGER: Final = 8
"""So many dialogs are open for as long as a failure takes, in the middle of their conversations."""


@dataclass
class Chat:
    """One conversation, and what its chatbot was told."""

    scene: Scene = field(repr=False)
    hesitates: bool
    """The chatbot gives up waiting for the answer to its grant, and then says no."""
    stored: Stored | None = field(default=None, repr=False)
    error: str | None = None
    longest_s: float = 0.0
    """How long the chatbot waited for one answer."""

    @property
    def is_granted(self) -> bool:
        return self.scene.decision == "granted" and not self.hesitates

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Role and text of each message."""
        return [(line.role, line.text) for line in self.scene.lines]


@cache
def _conversations() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the package does not close its file
        return corpus()


class Retries(logging.Handler):
    """Counts what the SDK does that its chatbots do not notice."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.reconnects = 0
        self.asked_again = 0
        self.some = asyncio.Event()
        """Is set at the next of them, and cleared by who waits for one."""

    @property
    def count(self) -> int:
        return self.reconnects + self.asked_again

    def __str__(self) -> str:
        return f"{self.reconnects} | {self.asked_again}"

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        is_reconnect, is_question = "reconnecting in" in message, "asking again in" in message
        self.reconnects += is_reconnect
        self.asked_again += is_question
        if is_reconnect or is_question:
            self.some.set()


class Chatbots:
    """So many chatbots talk at once, until they are told to stop."""

    def __init__(self, url: str, token: str, trusted: ssl.SSLContext, *, dialogs: int, seed: int) -> None:
        """`dialogs` are how many conversations they hold at least, before they may stop."""
        dice = random.Random(seed)
        scenes = (
            scene
            for round_ in range(_ROUNDS)
            for scene in choose_scenes(_conversations(), _MOST_DIALOGS, seed + round_)
        )
        self.chats: list[Chat] = []
        """Those that have begun."""
        self.retries = Retries()
        self._waiting = (Chat(scene, dice.random() < _HESITATES) for scene in scenes)
        self._least = dialogs
        self._may_stop = False
        self._open = partial(consentful.open_dialog, url, token=token, ssl=trusted, bot="nodes")
        self._dice = dice
        self._ended = 0
        self._lingering = 0
        self._all_linger = asyncio.Event()
        self._is_calm = asyncio.Event()
        self._is_calm.set()
        self._goals: list[tuple[Callable[[], bool], asyncio.Event]] = []

    async def talk(self) -> None:
        sdk = logging.getLogger("consentful")
        before = sdk.level
        sdk.setLevel(logging.DEBUG)
        sdk.addHandler(self.retries)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(self._chatbot())
        finally:
            sdk.removeHandler(self.retries)
            sdk.setLevel(before)

    @asynccontextmanager
    async def lingering(self) -> AsyncGenerator[None]:
        """Keep some dialogs open until the end of the block."""
        self._lingering = 0
        self._all_linger.clear()
        self._is_calm.clear()
        try:
            await self._all_linger.wait()
            yield
        finally:
            self._is_calm.set()

    async def _linger(self) -> None:
        if self._is_calm.is_set() or self._lingering == _LINGER:
            return
        self._lingering += 1
        if self._lingering == _LINGER:
            self._all_linger.set()
        await self._is_calm.wait()

    async def until_felt(self) -> None:
        """Return once the SDK of some chatbot had to try something again, or it seems that none ever has to."""
        self.retries.some.clear()
        waits = [asyncio.ensure_future(self.retries.some.wait()), asyncio.ensure_future(self.more(_UNNOTICED))]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def stop(self) -> None:
        """Begin no conversation any more, once there were enough."""
        self._may_stop = True

    async def more(self, dialogs: int) -> None:
        """Return once so many more have ended."""
        goal, reached = self._ended + dialogs, asyncio.Event()
        self._goals.append((lambda: self._ended >= goal, reached))
        await reached.wait()

    def _look(self) -> None:
        for is_reached, event in self._goals:
            if is_reached():
                event.set()

    async def _chatbot(self) -> None:
        for chat in self._waiting:
            self.chats.append(chat)
            try:
                await self._hold(chat)
            except (consentful.ConsentfulError, OSError, RuntimeError) as error:
                chat.error = f"{type(error).__name__}: {error}"
            self._ended += 1
            self._look()
            if self._may_stop and len(self.chats) >= self._least:
                return

    async def _hold(self, chat: Chat) -> None:
        scene = chat.scene
        began = time.monotonic()
        async with self._open(customer_id=scene.customer_id, dialog_id=scene.dialog_id) as dialog:
            chat.longest_s = time.monotonic() - began
            for number, line in enumerate(scene.lines):
                if number == len(scene.lines) // 2:
                    await self._linger()
                await dialog.say(line.text, role=line.role, sent_at=line.sent_at)
            began = time.monotonic()
            if scene.decision == "granted" and chat.hesitates:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._dice.random() * _MOST_S):
                        chat.stored = await dialog.grant()
                        chat.hesitates = False  # the answer came before it could say no
                        return
                await dialog.decline()
            elif scene.decision == "granted":
                chat.stored = await dialog.grant()
            elif scene.decision == "declined":
                await dialog.decline()
            chat.longest_s = max(chat.longest_s, time.monotonic() - began)
