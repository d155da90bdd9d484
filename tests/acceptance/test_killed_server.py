"""The promise that everything else is for: kill the server whenever you like.

What was granted is kept, once and whole; what was not granted is not kept. The server is the real one, in a process of
its own, and it gets SIGKILL in the middle of whatever it was doing.
"""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import aiohttp
import pytest

import consentful
from consentful.clock import SystemClock
from logs import until_written
from ports import free_port

Fate: TypeAlias = Literal[
    "granted",
    "declined",
    "dropped",  # the block is left without a decision
    "insisted",  # a grant is cut off, and granted again
    "repented",  # a grant is cut off, and taken back
]
Line: TypeAlias = tuple[str, str]

_CHATBOTS: Final = 24
_MOST_LINES: Final = 12
_MOST_STEPS: Final = 500
_MOST_TURNS: Final = 40
_KEPT: Final[frozenset[Fate]] = frozenset(("granted", "insisted"))


class Server:
    """`consentful serve` as a child process, always on the same port and the same files."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.serving = asyncio.Event()
        """Set while it listens."""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and return once it listens."""
        path = self.home / "log"
        before = path.stat().st_size if path.exists() else 0
        where = {"port": self._port, "data-dir": self.home / "data", "keys-dir": self.home / "keys", "grace": 0.1}
        with path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "consentful_server", "serve"),
                *(f"--{name}={value}" for name, value in where.items()),
                stdout=log,
                stderr=log,
                env={name: value for name, value in os.environ.items() if not name.startswith("CONSENTFUL_")},
            )
        await until_written(path, b"serving", after=before)
        self.serving.set()

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it; this process, and no other."""
        self.serving.clear()
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.wait()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Server"]:
        await self.start()
        try:
            yield self
        finally:
            await self.end()


class HastyClock(SystemClock):
    """Waits until the server is back, and not a moment longer: the point is the kills."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def sleep(self, seconds: float) -> None:
        await self._server.serving.wait()


@dataclass
class Chat:
    """One conversation: what was said, what became of it, and what the chatbot was told."""

    dialog_id: str
    fate: Fate
    lines: list[Line] = field(repr=False)
    receipts: set[str] = field(default_factory=set[str], repr=False)


class Crowd:
    """Chatbots that talk to customers, one after the other, until they are told to stop."""

    def __init__(self, server: Server, seed: int) -> None:
        self.chats: list[Chat] = []
        self._server = server
        self._dice = random.Random(seed)
        self._number = 0
        self._stopped = False
        self.deciding = 0
        """How many have asked the server to keep what was said, and know nothing yet."""
        self._steps = 0
        self._goal = 0
        self._reached = asyncio.Event()

    async def talk(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(_CHATBOTS):
                group.create_task(self._chatbot())

    def stop(self) -> None:
        """No conversation is begun any more; those under way are brought to their end."""
        self._stopped = True

    async def until_more(self, steps: int) -> None:
        """Return once so many more steps were taken: something was said, asked for, or decided."""
        self._goal = self._steps + steps
        self._reached.clear()
        await self._reached.wait()

    def _step(self) -> None:
        self._steps += 1
        if self._steps >= self._goal:
            self._reached.set()

    async def _chatbot(self) -> None:
        while not self._stopped:
            chat = self._next()
            await self._hold(chat)
            self.chats.append(chat)
            self._step()

    def _next(self) -> Chat:
        self._number += 1
        count = self._dice.randint(1, _MOST_LINES)
        lines = [
            (("customer", "bot")[turn % 2], f"{self._number}/{turn} {'ä' * self._dice.randrange(200)}")
            for turn in range(count)
        ]
        return Chat(f"d-{self._number}", self._dice.choice(get_args(Fate)), lines)

    async def _hold(self, chat: Chat) -> None:
        async with consentful.open_dialog(
            self._server.url,
            customer_id=f"customer of {chat.dialog_id}",
            dialog_id=chat.dialog_id,
            bot="crowd",
            clock=HastyClock(self._server),
        ) as dialog:
            for role, text in chat.lines:
                await dialog.say(text, role=role)  # pyright: ignore[reportArgumentType]
                self._step()
            if chat.fate in ("insisted", "repented"):
                await self._cut_off(chat, dialog)
            await self._decide(chat, dialog)

    async def _grant(self, chat: Chat, dialog: consentful.Dialog) -> None:
        self.deciding += 1
        self._step()
        try:
            stored = await dialog.grant()
        finally:
            self.deciding -= 1
        assert stored.messages == len(chat.lines)
        chat.receipts.add(stored.receipt)

    async def _cut_off(self, chat: Chat, dialog: consentful.Dialog) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._dice.random() * 0.02):
                await self._grant(chat, dialog)

    async def _decide(self, chat: Chat, dialog: consentful.Dialog) -> None:
        if chat.receipts:  # the cut came too late: it is granted
            chat.fate = "granted"
        elif chat.fate in _KEPT:
            await self._grant(chat, dialog)
        elif chat.fate in ("declined", "repented"):
            await dialog.decline()


async def kill_at_random(server: Server, crowd: Crowd, kills: int, gentle: float, dice: random.Random) -> int:
    """Kill the server again and again, in the middle of things, and start it again; some are asked to stop instead.

    Return how many decisions that cut off.
    """
    cut_off = 0
    for _ in range(kills):
        await crowd.until_more(dice.randint(1, _MOST_STEPS))
        for _ in range(dice.randrange(_MOST_TURNS)):
            await asyncio.sleep(0)  # turns of the loop: anywhere between two steps, in a commit as well
        cut_off += crowd.deciding
        await server.end(signal.SIGTERM if dice.random() < gentle else signal.SIGKILL)
        await server.start()
    await crowd.until_more(_MOST_STEPS)
    crowd.stop()
    return cut_off


async def read_back(url: str, chats: list[Chat]) -> dict[str, list[Line] | int]:
    """Return the lines of each dialog that is kept, as a data scientist reads them, or the status."""
    async with aiohttp.ClientSession() as http:

        async def look(chat: Chat) -> tuple[str, list[Line] | int]:
            async with http.get(f"{url}/v1/dialogs/{chat.dialog_id}") as response:
                if response.status != 200:
                    return chat.dialog_id, response.status
                messages = (await response.json())["messages"]
                return chat.dialog_id, [(message["role"], message["text"]) for message in messages]

        return dict([await look(chat) for chat in chats])


async def listed(url: str) -> Counter[str]:
    """Return how often each dialog is on the list of all dialogs."""
    found: Counter[str] = Counter()
    parameters: dict[str, str] = {"limit": "1000"}
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{url}/v1/dialogs", params=parameters) as response:
                page: dict[str, Any] = await response.json()
            found.update(item["dialog_id"] for item in page["items"])
            if page["next"] is None:
                return found
            parameters["cursor"] = page["next"]


async def prove(home: Path, *, seed: int, kills: int, gentle: float = 0.0) -> None:
    dice = random.Random(seed)
    async with Server(home).running() as server:
        crowd = Crowd(server, seed)
        async with asyncio.TaskGroup() as group:
            group.create_task(crowd.talk())
            killing = group.create_task(kill_at_random(server, crowd, kills, gentle, dice))
        kept = await read_back(server.url, crowd.chats)
        listing = await listed(server.url)

    assert killing.result() >= kills, "the server was hardly ever killed while it decided"
    granted = [chat for chat in crowd.chats if chat.fate in _KEPT]
    others = [chat for chat in crowd.chats if chat.fate not in _KEPT]
    assert {fate for fate in get_args(Fate) if any(chat.fate == fate for chat in crowd.chats)} == set(get_args(Fate))
    assert [chat for chat in granted if kept[chat.dialog_id] != chat.lines] == []
    assert [chat for chat in others if kept[chat.dialog_id] not in (404, 410)] == []
    assert listing == Counter(chat.dialog_id for chat in granted)


async def test_what_was_granted_is_kept_once_and_whole_and_nothing_else(tmp_path: Path) -> None:
    await prove(tmp_path, seed=1, kills=6)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(2, 7))
async def test_the_same_with_many_more_kills_and_some_deploys(tmp_path: Path, seed: int) -> None:
    await prove(tmp_path, seed=seed, kills=25, gentle=0.2)
