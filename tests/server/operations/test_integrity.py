"""Integrity: whatever is altered in the database of a dialog that was stored is found."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from consentful_server import cli
from consentful_server.operations.integrity import Proof, prove
from consentful_server.operations.verify import check_receipt
from consentful_server.service import open_service
from consentful_server.settings import Settings
from consentful_server.stores.sqlite.connection import connect
from kept import keep
from places import Kind, opened, url_of
from postgres_server import named_in, server

_ALTERED = {
    "a message is deleted": "DELETE FROM messages WHERE dialog = 2 AND seq = 2",
    "the last message is deleted": "DELETE FROM messages WHERE dialog = 2 AND seq = 3",
    "all messages are deleted": "DELETE FROM messages WHERE dialog = 2",
    "a message is added": "INSERT INTO messages SELECT dialog, 4, role, language, received_at, kind, customer"
    " FROM messages WHERE dialog = 2 AND seq = 3",
    "a role": "UPDATE messages SET role = 'agent' WHERE dialog = 2 AND seq = 1",
    "a time": "UPDATE messages SET received_at = received_at + 1 WHERE dialog = 2 AND seq = 1",
    "the length": "UPDATE dialogs SET messages = 2 WHERE id = 2",
    "the purposes": "UPDATE dialogs SET purposes = '[\"more\"]' WHERE id = 2",
    "the digest": "UPDATE dialogs SET content = zeroblob(32) WHERE id = 2",
    "the key": "UPDATE dialog_keys SET wrapped = CAST(substr(wrapped, 1, 4) || zeroblob(60) AS BLOB) WHERE dialog = 2",
    "the texts": "UPDATE seals SET texts = (SELECT texts FROM seals WHERE dialog = 1) WHERE dialog = 2",
    "the seals are deleted": "DELETE FROM seals WHERE dialog = 2",
    "stored later": "UPDATE dialogs SET stored_at = stored_at + 86500000000 WHERE id = 2",
    "stored before the decision": "UPDATE dialogs SET stored_at = stored_at - 86500000000 WHERE id = 2",
}


@pytest.mark.parametrize("altered", _ALTERED)
async def test_every_alteration_of_a_dialog_is_found(altered: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")
    async with open_service(settings) as service:
        for dialog_id in ("d-1", "d-2"):
            await keep(service, dialog_id, ["Hi", "Where is it?", "Thanks"])
        assert await prove(service) == Proof(whole=2, damaged=0)
        with closing(connect(settings.data_dir / "consentful.db")) as db:
            db.execute(_ALTERED[altered])
        damaged: list[str] = []

        assert await prove(service, damaged.append) == Proof(whole=1, damaged=1)
        assert damaged == ["d-2"]


_RECEIPTS = {
    "the receipt is another dialog's": "UPDATE dialogs SET receipt = (SELECT receipt FROM dialogs WHERE id = 1)"
    " WHERE id = 2",
    "the receipt is altered": "UPDATE dialogs SET receipt = replace(receipt, '.', '.A') WHERE id = 2",
    "the receipt is emptied": "UPDATE dialogs SET receipt = '' WHERE id = 2",
}


@pytest.mark.parametrize("altered", _RECEIPTS)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_every_alteration_of_a_receipt_is_found(kind: Kind, altered: str, tmp_path: Path) -> None:
    url = await url_of(kind, tmp_path, "data")
    async with opened(url, tmp_path) as service:
        for dialog_id in ("d-1", "d-2"):
            await keep(service, dialog_id)
        if kind == "postgres":
            await server().run(_RECEIPTS[altered], named_in(url))
        else:
            with closing(connect(tmp_path / "data" / "consentful.db")) as db:
                db.execute(_RECEIPTS[altered])
        damaged: list[str] = []

        assert await prove(service, damaged.append) == Proof(whole=1, damaged=1)
        assert damaged == ["d-2"]


async def test_a_receipt_of_a_dialog_whose_message_was_deleted_says_so(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")
    async with open_service(settings) as service:
        stored = await keep(service, "d-1", ["Hi", "Where is it?"])
        with closing(connect(settings.data_dir / "consentful.db")) as db:
            db.execute("DELETE FROM messages WHERE seq = 2")

        verdict = await check_receipt(stored.receipt, service)

    assert (verdict.content, verdict.is_good) == ("differs", False)


def test_the_command_names_the_dialogs_that_were_altered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    async def store() -> None:
        async with open_service(Settings()) as service:
            for dialog_id in ("d-1", "d-2"):
                await keep(service, dialog_id, ["Hi", "Where is it?", "Thanks"])

    asyncio.run(store())
    assert cli.run(["verify", "--dialogs"]) == 0
    assert "2 dialogs and their receipts verified" in capsys.readouterr().out
    with closing(connect(tmp_path / "data" / "consentful.db")) as db:
        db.execute(_ALTERED["a message is deleted"])

    assert cli.run(["verify", "--dialogs"]) == 1
    assert "Damaged: d-2" in capsys.readouterr().err
