"""`consentful demo`: replay real human conversations through the SDK, and compare what the service stored.

The corpus is `chitchat-dataset` (MIT): 7,168 dialogs between two people. The first speaker becomes the customer, the
other one the bot.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast

import aiohttp
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import consentful
from consentful import wire
from consentful.identifiers import uuid7

from ...errors import BadSetting, Unsupported

T = TypeVar("T")

Decision: TypeAlias = Literal["granted", "declined", "dropped"]

DEFAULT_DIALOGS: Final = 200
_WEIGHTS: Final[dict[Decision, int]] = {"granted": 6, "declined": 2, "dropped": 2}


class SpokenLine(msgspec.Struct, frozen=True):
    """One utterance of the corpus."""

    text: str
    role: wire.Role
    sent_at: datetime

    def __repr__(self) -> str:
        return f"SpokenLine(role={self.role!r}, text=<{len(self.text)} characters>)"


class Scene(msgspec.Struct, frozen=True):
    """One conversation to replay, and its decision."""

    dialog_id: str
    customer_id: str
    lines: tuple[SpokenLine, ...]
    decision: Decision


class Kept(msgspec.Struct, frozen=True):
    """What the service stored of one conversation: the HTTP status of the dialog, and its texts."""

    status: int
    texts: tuple[str, ...] = ()


class Demo:
    """One run of the demo. Its exit status is 1 if the service stored too much or too little."""

    def __init__(self, url: str, token: str | None, *, dialogs: int, seed: int, at_once: int) -> None:
        if dialogs < 1:
            raise BadSetting("dialogs", "must be a whole number above 0")
        if at_once < 1:
            raise BadSetting("at_once", "must be a whole number above 0")
        self._url = url.rstrip("/")
        self._token = token
        self._scenes = choose_scenes(corpus(), dialogs, seed)
        self._at_once = asyncio.Semaphore(at_once)

    async def run(self, console: Console) -> int:
        """Replay all conversations, read them back, and return the exit status."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            await self._each(progress, "replaying", self._play)
            kept = await self._read_back(progress)
        results = [(scene, found, _is_correct(scene, found)) for scene, found in zip(self._scenes, kept, strict=True)]
        console.print(_table(results))
        if all(correct for _, _, correct in results):
            console.print("The granted dialogs are stored, text by text; no other dialog is.")
            console.print(f"Read them: curl '{self._url}/v1/messages?limit=3'")
            return 0
        console.print("[red]The stored dialogs differ from the granted ones.[/red]")
        return 1

    async def _each(self, progress: Progress, title: str, work: Callable[[Scene], Awaitable[T]]) -> list[T]:
        task = progress.add_task(title, total=len(self._scenes))

        async def one(scene: Scene) -> T:
            async with self._at_once:
                done = await work(scene)
            progress.advance(task)
            return done

        return await asyncio.gather(*map(one, self._scenes))

    async def _play(self, scene: Scene) -> None:
        async with consentful.open_dialog(
            self._url,
            customer_id=scene.customer_id,
            dialog_id=scene.dialog_id,
            language="en",
            bot="demo",
            token=self._token,
        ) as dialog:
            for line in scene.lines:
                await dialog.say(line.text, role=line.role, sent_at=line.sent_at)
            if scene.decision == "granted":
                await dialog.grant()
            elif scene.decision == "declined":
                await dialog.decline()

    async def _read_back(self, progress: Progress) -> list[Kept]:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with aiohttp.ClientSession(headers=headers) as http:

            async def look(scene: Scene) -> Kept:
                async with http.get(f"{self._url}/v1/dialogs/{scene.dialog_id}") as response:
                    if response.status != 200:
                        return Kept(response.status)
                    dialog = await response.json()
                    return Kept(200, tuple(message["text"] for message in dialog["messages"]))

            return await self._each(progress, "reading back", look)


def corpus() -> list[Any]:
    """Return the conversations of `chitchat-dataset`.

    Raises:
        Unsupported: If the package is not installed.
    """
    try:
        import chitchat_dataset  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise Unsupported("the demo's conversations are not installed: pip install 'consentful[demo]'") from None
    return list(cast("dict[str, Any]", chitchat_dataset.Dataset()).values())


def choose_scenes(conversations: Sequence[Any], count: int, seed: int) -> list[Scene]:
    """Return `count` conversations that are not empty, each with a decision. The same seed returns the same ones."""
    chance = random.Random(seed)  # noqa: S311 - the selection needs no cryptographic randomness
    spoken = [lines for conversation in conversations if (lines := _lines(conversation))]
    decisions = chance.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()), k=count)
    chosen = chance.sample(spoken, min(count, len(spoken)))
    return [
        Scene(str(uuid7()), f"demo-customer-{number % 50}", lines, decision)
        for number, (lines, decision) in enumerate(zip(chosen, decisions, strict=False), 1)
    ]


def _lines(conversation: Any) -> tuple[SpokenLine, ...]:
    utterances = [utterance for turn in conversation["messages"] for utterance in turn if utterance["text"]]
    return tuple(
        SpokenLine(
            utterance["text"],
            "customer" if utterance["sender"] == utterances[0]["sender"] else "bot",
            datetime.fromisoformat(utterance["timestamp"]),
        )
        for utterance in utterances
    )


def _is_correct(scene: Scene, kept: Kept) -> bool:
    if scene.decision == "granted":
        return kept.texts == tuple(line.text for line in scene.lines)
    return kept.status == 404


def _table(results: Iterable[tuple[Scene, Kept, bool]]) -> Table:
    counts: dict[Decision, Counter[str]] = {decision: Counter() for decision in _WEIGHTS}
    for scene, kept, correct in results:
        counts[scene.decision].update(
            dialogs=1, sent=len(scene.lines), dialogs_stored=kept.status == 200, stored=len(kept.texts), correct=correct
        )
    table = Table("decision", title="Stored data", caption="Each dialog was read back over REST and compared.")
    for heading in ("dialogs", "stored", "messages sent", "stored", "correct"):
        table.add_column(heading, justify="right")
    for decision, count in counts.items():
        numbers = (count["dialogs"], count["dialogs_stored"], count["sent"], count["stored"])
        wrong = count["dialogs"] - count["correct"]
        table.add_row(decision, *(f"{number:,}" for number in numbers), f"{wrong} wrong" if wrong else "yes")
    return table
