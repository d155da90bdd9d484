"""`consentful demo`: real human conversations through the SDK, some kept, some forgotten, and all of them checked.

The corpus is `chitchat-dataset` (MIT): 7,168 dialogs of people who wrote to each other. The first speaker is taken
for the customer, the other one for the bot.
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

Fate: TypeAlias = Literal["granted", "declined", "dropped"]

DEFAULT_DIALOGS: Final = 200
_ODDS: Final[dict[Fate, int]] = {"granted": 6, "declined": 2, "dropped": 2}


class SpokenLine(msgspec.Struct, frozen=True):
    """One utterance of the corpus."""

    text: str
    role: wire.Role
    sent_at: datetime

    def __repr__(self) -> str:
        return f"SpokenLine(role={self.role!r}, text=<{len(self.text)} characters>)"


class Scene(msgspec.Struct, frozen=True):
    """One conversation to replay, and how it ends."""

    dialog_id: str
    customer_id: str
    lines: tuple[SpokenLine, ...]
    fate: Fate


class Kept(msgspec.Struct, frozen=True):
    """What the service holds of one conversation."""

    status: int
    texts: tuple[str, ...] = ()


class Demo:
    """A demonstration that proves itself: it exits with 1 if anything is kept or lost that should not be."""

    def __init__(self, url: str, token: str | None, *, dialogs: int, seed: int, at_once: int) -> None:
        if dialogs < 1:
            raise BadSetting("dialogs", "a whole number above 0")
        if at_once < 1:
            raise BadSetting("at_once", "a whole number above 0")
        self._url = url.rstrip("/")
        self._token = token
        self._scenes = cast_scenes(corpus(), dialogs, seed)
        self._at_once = asyncio.Semaphore(at_once)

    async def run(self, console: Console) -> int:
        """Replay, then read back; return the exit status."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            await self._each(progress, "replaying", self._play)
            kept = await self._read_back(progress)
        verdicts = [(scene, found, _is_right(scene, found)) for scene, found in zip(self._scenes, kept, strict=True)]
        console.print(_table(verdicts))
        if all(right for _, _, right in verdicts):
            console.print("Everything that was granted is kept, word for word; nothing else is.")
            console.print(f"Read it: curl '{self._url}/v1/messages?limit=3'")
            return 0
        console.print("[red]The service does not hold what it should.[/red]")
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
            if scene.fate == "granted":
                await dialog.grant()
            elif scene.fate == "declined":
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
        raise Unsupported("the demo needs real conversations: pip install 'consentful[demo]'") from None
    return list(cast("dict[str, Any]", chitchat_dataset.Dataset()).values())


def cast_scenes(conversations: Sequence[Any], count: int, seed: int) -> list[Scene]:
    """Return `count` conversations that are not empty, each with its fate; the same seed, the same scenes."""
    chance = random.Random(seed)  # noqa: S311 - a choice of scenes is no secret
    spoken = [lines for conversation in conversations if (lines := _lines(conversation))]
    fates = chance.choices(list(_ODDS), weights=list(_ODDS.values()), k=count)
    chosen = chance.sample(spoken, min(count, len(spoken)))
    return [
        Scene(str(uuid7()), f"demo-customer-{number % 50}", lines, fate)
        for number, (lines, fate) in enumerate(zip(chosen, fates, strict=False), 1)
    ]


def _lines(conversation: Any) -> tuple[SpokenLine, ...]:
    said = [utterance for turn in conversation["messages"] for utterance in turn if utterance["text"]]
    return tuple(
        SpokenLine(
            utterance["text"],
            "customer" if utterance["sender"] == said[0]["sender"] else "bot",
            datetime.fromisoformat(utterance["timestamp"]),
        )
        for utterance in said
    )


def _is_right(scene: Scene, kept: Kept) -> bool:
    if scene.fate == "granted":
        return kept.texts == tuple(line.text for line in scene.lines)
    return kept.status == 404


def _table(verdicts: Iterable[tuple[Scene, Kept, bool]]) -> Table:
    counts: dict[Fate, Counter[str]] = {fate: Counter() for fate in _ODDS}
    for scene, kept, right in verdicts:
        counts[scene.fate].update(
            dialogs=1, said=len(scene.lines), dialogs_kept=kept.status == 200, kept=len(kept.texts), right=right
        )
    table = Table("how it ended", title="What was kept", caption="Each dialog was read back over REST and compared.")
    for heading in ("dialogs", "kept", "messages said", "kept", "as it should be"):
        table.add_column(heading, justify="right")
    for fate, count in counts.items():
        numbers = (count["dialogs"], count["dialogs_kept"], count["said"], count["kept"])
        right = "yes" if count["right"] == count["dialogs"] else f"{count['dialogs'] - count['right']} are not"
        table.add_row(fate, *(f"{number:,}" for number in numbers), right)
    return table
