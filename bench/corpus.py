"""Stores that are full before they are measured: granted dialogs put in through our own archive, in process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from consentful.wire import Consent, Message, Open
from consentful_server.dialogs.dialog import Dialog, Granted
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.sqlite.connection import connect

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


def multiply(folder: Path, name: str, dialogs: int, times: int) -> list[str]:
    """Store so many copies of each dialog that `fill` stored under this name, and return their ids.

    The copies are as large as the dialogs, and lie where they would; they only do not open.
    """
    with closing(connect(folder / "data" / "consentful.db")) as db:
        columns: list[str] = [row[1] for row in db.execute("PRAGMA table_info(dialogs)")]
        copied = {"id": "id + :past", "dialog_id": "dialog_id || '/' || :time", "withdrawal_hash": "randomblob(32)"}
        values = ", ".join(copied.get(column, column) for column in columns)
        db.execute("BEGIN")
        for time in range(1, times):
            given = {"past": time * dialogs, "time": time, "dialogs": dialogs}
            db.execute(f"INSERT INTO dialogs SELECT {values} FROM dialogs WHERE id <= :dialogs", given)
            for table, rest in (("dialog_keys", "wrapped"), ("seals", "customer, metadata, texts")):
                db.execute(
                    f"INSERT INTO {table} SELECT dialog + :past, {rest} FROM {table} WHERE dialog <= :dialogs", given
                )
            db.execute(
                "INSERT INTO messages SELECT dialog + :past, seq, role, language, received_at + :past, kind, customer"
                " FROM messages WHERE dialog <= :dialogs",
                given,
            )
            db.execute(
                "INSERT INTO dialog_kinds SELECT kind, dialog + :past, received_at FROM dialog_kinds"
                " WHERE dialog <= :dialogs",
                given,
            )
        db.execute("COMMIT")
    return [f"{name}-{number}/{time}" for time in range(1, times) for number in range(dialogs)]


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
