"""Stores that are full before they are measured: granted dialogs put in through our own archive, in process."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

from consentful.wire import Consent, Message, Open
from consentful_server.consent.notices import Catalogue
from consentful_server.dialogs.dialog import Dialog, Granted
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.sqlite.connection import connect

_AT_ONCE = 500
_DAY = 86_400_000_000
TEXT = "Where is my parcel? It should have come on Tuesday, and nobody at the counter could tell me anything"


def places(folder: Path) -> tuple[str, ...]:
    """Return the flags that make a server use this folder."""
    return ("--data-dir", str(folder / "data"), "--keys-dir", str(folder / "keys"))


@asynccontextmanager
async def opened(folder: Path, database: str = "") -> AsyncGenerator[Service]:
    """Open the service over this folder, or this database and the folder's keys, without a server."""
    place = Settings(data_dir=folder / "data", keys_dir=folder / "keys", database=database)
    async with open_service(place) as service:
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


async def fill_mixed(service: Service, dialogs: int) -> None:
    """Store five dialogs of which everything is rare, then so many that are common, a fifth of them of one customer."""
    rare = Message(1, TEXT, "agent", "is")
    catalogue = service.catalogue
    for number in range(5):
        await _keep_as(service, f"rare-{number}", "rare", [rare], catalogue, ["rare"])
    texts = [Message(seq, TEXT, "customer" if seq % 2 else "bot", "en") for seq in range(1, 11)]
    for start in range(0, dialogs, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, dialogs))
        await asyncio.gather(
            *(
                _keep_as(service, f"common-{number}", _customer(number), texts, catalogue, ["common"])
                for number in numbers
            )
        )


def bury(folder: Path, dialogs: int) -> None:
    """Store copies of the common dialogs until there are so many, all of them a day older than the one before.

    They are as large as the dialogs, but do not open: pages of the newest rows never come to them.
    """
    with closing(connect(folder / "data" / "consentful.db")) as db:
        columns: list[str] = [row[1] for row in db.execute("PRAGMA table_info(dialogs)")]
        copied = {
            "id": "id + :past",
            "dialog_id": "dialog_id || '/' || :time",
            "withdrawal_hash": "randomblob(32)",
            "received_at": "received_at - :older",
        }
        values = ", ".join(copied.get(column, column) for column in columns)
        first, last = db.execute("SELECT min(id), max(id) FROM dialogs WHERE dialog_id LIKE 'common-%'").fetchone()
        for time in range(1, max(1, dialogs // (last - first + 1))):
            given = {"past": time * last, "time": time, "older": time * _DAY, "first": first, "last": last}
            db.execute("BEGIN")
            for table, id_of, what in (
                ("dialogs", "id", values),
                ("dialog_keys", "dialog", "dialog + :past, wrapped"),
                ("seals", "dialog", "dialog + :past, customer, metadata, texts"),
                ("messages", "dialog", "dialog + :past, seq, role, language, received_at - :older, kind, customer"),
                ("dialog_kinds", "dialog", "kind, dialog + :past, received_at - :older"),
            ):
                db.execute(
                    f"INSERT INTO {table} SELECT {what} FROM {table} WHERE {id_of} BETWEEN :first AND :last", given
                )
            db.execute("COMMIT")


def _customer(number: int) -> str:
    return "c-" + str(number % 1000) if number % 5 else "common"


async def _keep_as(
    service: Service,
    dialog_id: str,
    who: str,
    messages: Sequence[Message],
    catalogue: Catalogue,
    purposes: list[str],
) -> None:
    """Store a dialog of this customer and of a bot that is as rare."""
    bot = "rare" if who == "rare" else "common"
    now = service.clock.now()
    dialog = Dialog.open(Open(who, dialog_id, bot=bot), dialog_id, catalogue, service.limits, now)
    for message in messages:
        dialog.say(message, service.clock.now())
    granted = Granted(dialog.wording, tuple(purposes), "self")
    await service.archive.keep(dialog, granted, owner="local", channel="websocket")


async def fill_worst(service: Service, dialogs: int) -> None:
    """Store dialogs as large as they may be, of texts that take the most memory and time to read."""
    limits = service.limits
    whole = "\U0001f600" + "x" * (limits.max_text_bytes - 4)  # in memory each character takes four bytes
    marks = "a" + "\u0323\u0301\u0345" * ((limits.max_text_bytes - 1) // 6)  # in an order that has to be sorted
    count = limits.max_dialog_bytes // limits.max_text_bytes
    texts = [Message(seq, (whole, marks)[seq % 2], "customer", "en") for seq in range(1, count + 1)]
    for number in range(dialogs):
        await _keep_as(service, f"worst-{number}", "worst", texts, service.catalogue, ["worst"])


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
