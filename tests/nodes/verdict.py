"""Compares what each chatbot was told with what the service has, as a data scientist reads it."""

import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from kept import bearer

from .chatbots import Chat

_NOT_STORED: Final = (404, 410)
_PAGE: Final = "1000"


@dataclass(frozen=True)
class Verdict:
    """The dialogs, by what is wrong with them."""

    dialogs: int
    granted: int
    lost: Sequence[str]
    """Granted and answered, but not stored, or not as it was said."""
    twice: Sequence[str]
    uncalled_for: Sequence[str]
    """Stored although the customer said no, or said nothing."""
    errors: Sequence[str]
    """What chatbots were told instead of an answer."""
    longest_s: float
    """The longest wait of a chatbot for one answer."""

    @property
    def is_right(self) -> bool:
        return not (self.lost or self.twice or self.uncalled_for or self.errors)

    def __str__(self) -> str:
        counts = (self.dialogs, self.granted, *map(len, (self.lost, self.twice, self.uncalled_for, self.errors)))
        return " | ".join(map(str, (*counts, f"{self.longest_s:.1f} s")))


async def judge(url: str, token: str, trusted: ssl.SSLContext, chats: Sequence[Chat]) -> Verdict:
    """Read everything back, and compare."""
    async with aiohttp.ClientSession(url, headers=bearer(token), connector=aiohttp.TCPConnector(ssl=trusted)) as http:
        kept = {chat.scene.dialog_id: await _read(http, chat.scene.dialog_id) for chat in chats}
        listed = await _listed(http)
    granted = [chat for chat in chats if chat.is_granted]
    others = [chat for chat in chats if not chat.is_granted]
    return Verdict(
        dialogs=len(chats),
        granted=len(granted),
        lost=[
            chat.scene.dialog_id
            for chat in granted
            if chat.error is None
            and kept[chat.scene.dialog_id] != [(line.role, line.text) for line in chat.scene.lines]
        ],
        twice=[chat.scene.dialog_id for chat in chats if listed[chat.scene.dialog_id] > 1],
        uncalled_for=[chat.scene.dialog_id for chat in others if kept[chat.scene.dialog_id] not in _NOT_STORED],
        errors=[chat.error for chat in chats if chat.error],
        longest_s=max(chat.longest_s for chat in chats),
    )


async def _read(http: aiohttp.ClientSession, dialog_id: str) -> list[tuple[str, str]] | int:
    """Return the dialog's lines, or the status."""
    async with http.get(f"/v1/dialogs/{dialog_id}") as response:
        if response.status != 200:
            return response.status
        return [(message["role"], message["text"]) for message in (await response.json())["messages"]]


async def _listed(http: aiohttp.ClientSession) -> Counter[str]:
    """Return how often each dialog is on the list of all dialogs."""
    found: Counter[str] = Counter()
    parameters = {"limit": _PAGE}
    while True:
        async with http.get("/v1/dialogs", params=parameters) as response:
            page: dict[str, Any] = await response.json()
        found.update(item["dialog_id"] for item in page["items"])
        if page["next"] is None:
            return found
        parameters["cursor"] = page["next"]
