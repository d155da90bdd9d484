"""Stores that are full before they are measured: granted dialogs put in through our own archive, in process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from consentful.wire import Consent, Message, Open
from consentful_server.dialog import Dialog, Granted
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings

_AT_ONCE = 500
TEXT = "Where is my parcel? It should have come on Tuesday, and nobody at the counter could tell me anything"


def places(folder: Path) -> tuple[str, ...]:
    """Return the flags that make a server use this folder."""
    return ("--data-dir", str(folder / "data"), "--keys-dir", str(folder / "keys"))


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[Service]:
    """Open the service over this folder, without a server."""
    async with open_service(Settings(data_dir=folder / "data", keys_dir=folder / "keys")) as service:
        yield service


async def fill(service: Service, name: str, dialogs: int, messages: int) -> list[str]:
    """Store so many dialogs and return their ids."""
    ids = [f"{name}-{number}" for number in range(dialogs)]
    for start in range(0, dialogs, _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        await asyncio.gather(*(_keep(service, dialog_id, messages) for dialog_id in some))
    return ids


async def _keep(service: Service, dialog_id: str, messages: int) -> None:
    dialog, granted = grant(service, dialog_id, messages)
    await service.archive.keep(dialog, granted, owner="local", channel="websocket")


def grant(service: Service, dialog_id: str, messages: int) -> tuple[Dialog, Granted]:
    """Return a dialog of which everything was said and granted."""
    now, catalogue = service.clock.now(), service.catalogue
    opening = Open(f"c-{hash(dialog_id) % 1000}", dialog_id, language="en")
    dialog = Dialog.open(opening, dialog_id, catalogue, service.limits, now)
    for seq in range(1, messages + 1):
        dialog.say(Message(seq, TEXT), service.clock.now())
    granted = dialog.decide(Consent(granted=True, last_seq=messages), catalogue)
    assert isinstance(granted, Granted)
    return dialog, granted
