"""Dialogs on their way into a store, for tests of stores."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from consentful.wire import Limits, Message, Open
from consentful_server.archive.sealing import Sealer
from consentful_server.clock import Clock, to_micros
from consentful_server.consent.notices import Catalogue, Wording
from consentful_server.consent.record import Record
from consentful_server.dialogs.dialog import Dialog
from consentful_server.keys.pseudonyms import Pseudonyms
from consentful_server.keys.vault import Vault
from consentful_server.privacy.ledger import Ledger
from consentful_server.stores.sqlite.backend import SQLiteBackend
from consentful_server.stores.sqlite.store import SQLiteStore

START = datetime(2026, 1, 1, tzinfo=UTC)
VAULT = Vault(b"deployment", {1: b"m" * 32})
PSEUDONYMS = Pseudonyms(b"p" * 32)
CATALOGUE = Catalogue(
    [
        Wording(
            id="n-1",
            language="en",
            text="May we?",
            purposes=("improve", "research"),
            controller="Shop",
            contact="privacy@shop.example",
            retention=timedelta(days=30),
        )
    ]
)


async def open_store(path: Path, clock: Clock) -> SQLiteStore:
    """Return a store whose ledger lies beside it."""
    return await SQLiteBackend(path).open(clock, opened_ledger(path.parent))


def opened_ledger(folder: Path) -> Ledger:
    """Return the ledger in a folder, created if it is missing."""
    ledger = Ledger(folder / "erasures.ledger")
    ledger.create()
    ledger.open()
    return ledger


def spoken(
    dialog_id: str,
    texts: Sequence[str] = ("Hi", "Hello"),
    *,
    customer_id: str = "c-1",
    at: datetime = START,
    **fields: str,
) -> Dialog:
    """Return a live dialog in which the customer and the bot took turns, a second apart."""
    dialog = Dialog.open(
        Open(customer_id, dialog_id, language=fields.get("language"), bot=fields.get("bot")),
        dialog_id,
        CATALOGUE,
        Limits(),
        at,
    )
    for seq, text in enumerate(texts, 1):
        role = "customer" if seq % 2 else "bot"
        dialog.say(Message(seq, text, role), at + timedelta(seconds=seq))
    return dialog


def candidate(
    dialog_id: str,
    texts: Sequence[str] = ("Hi", "Hello"),
    *,
    customer_id: str = "c-1",
    owner: str = "shop",
    purposes: tuple[str, ...] = ("improve", "research"),
    at: datetime = START,
    **fields: str,
) -> Sealer:
    """Return a granted dialog as the archive hands it to a store."""
    dialog = spoken(dialog_id, texts, customer_id=customer_id, at=at, **fields)
    record = Record(
        dialog_id=dialog_id,
        customer=PSEUDONYMS.of(customer_id),
        owner=owner,
        bot=dialog.bot,
        channel="websocket",
        notice_id=dialog.wording.id,
        notice_language=dialog.wording.language,
        notice_sha256=dialog.wording.sha256,
        purposes=purposes,
        given_by="self",
        decided_at=to_micros(at),
        expires_at=to_micros(at + dialog.wording.retention),
    )
    mark = PSEUDONYMS.mark(dialog_id, owner, record.customer)
    return Sealer(VAULT, dialog, record, mark, lambda record, messages, _: f"receipt {record.purposes} {messages}")
