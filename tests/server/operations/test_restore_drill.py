"""A restore, tried as it happens: a service that is used, backed up, used on, lost and restored (GDPR art. 17, 19, 32).

What was taken back since the backup stays taken back, no cursor skips anything, and an old backup of the data opens
nothing of what was erased.
"""

import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest
from aiohttp import ClientSession

from consentful_server.access_log.chain import OPERATOR
from consentful_server.access_log.store import Trace
from consentful_server.errors import BadBackup, BadDatabase, Erased
from consentful_server.keys.masters import FileMasters
from consentful_server.keys.vault import Unopenable, Vault
from consentful_server.operations import backup
from consentful_server.service import open_service
from consentful_server.settings import Settings
from consentful_server.stores.open import backend_of
from consentful_server.stores.sqlite.connection import connect
from consentful_server.testing import Served, serve
from kept import annotate, bearer, get, keep, noted

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = datetime(2026, 1, 2, tzinfo=UTC)
WORDS = "contraband-4711"
SOUGHT = "needle-4711"

Keys: TypeAlias = Literal["the newest", "older than the data"]


@asynccontextmanager
async def served(home: Path) -> AsyncGenerator[tuple[Served, ClientSession]]:
    async with serve(folder=home, auth="keys") as service, ClientSession(service.url) as http:
        yield service, http


class Walk:
    """A reader in commit order, or a recipient of the feed of erasures, who keeps the cursor."""

    def __init__(self, path: str, token: str, **filters: str) -> None:
        self.path, self.token, self.filters = path, token, filters
        self.cursor: str | None = None
        self.seen: list[str] = []

    async def read(self, http: ClientSession) -> None:
        more = True
        while more:
            at = {} if self.cursor is None else {"cursor": self.cursor}
            page = await get(http, self.path, token=self.token, limit=1, **self.filters, **at)
            self.seen += [row["dialog_id"] for row in page["items"]]
            self.cursor, more = page["next"], page["more"]

    async def refused(self, http: ClientSession) -> dict[str, Any]:
        """Return the problem that the kept cursor gets."""
        params = self.filters | {"cursor": self.cursor or ""}
        async with http.get(self.path, params=params, headers=bearer(self.token)) as response:
            assert response.status == 410
            return await response.json()

    def again(self) -> "Walk":
        return Walk(self.path, self.token, **self.filters)


def put_back(home: Path, name: str) -> None:
    backup.restore(home / "copies", name, backend_of("", home / "data"), home / "keys")


@pytest.mark.parametrize("keys", ["the newest", "older than the data"])
async def test_after_a_restore_nothing_comes_back_and_no_cursor_skips_anything(tmp_path: Path, keys: Keys) -> None:
    async with served(tmp_path) as (service, http):
        parts = service.service
        token = await service.create_key("data:read", name="ann")
        revoked = await service.create_key("data:read", name="bob")
        reader = Walk("/v1/dialogs", token, order="stored")
        recipient = Walk("/v1/erasures", token)
        for dialog_id in ("d-0", "d-1", "d-2"):
            await keep(parts, dialog_id, owner="shop")
            await annotate(parts, dialog_id, f"Note on {dialog_id}")
        older = await backup.back_up(parts, tmp_path / "copies", FIRST)
        await parts.archive.erase("d-0", "withdrawn")
        await reader.read(http)
        await recipient.read(http)
        made = await backup.back_up(parts, tmp_path / "copies", SECOND)

        for dialog_id in ("d-3", "d-4"):
            await keep(parts, dialog_id, owner="shop")
        for dialog_id in ("d-1", "d-3"):
            await parts.archive.erase(dialog_id, "withdrawn")
        await parts.archive.decline("d-5", "c-1", owner="shop", retract=True)
        await parts.api_keys.revoke(revoked.split("_")[1], by=OPERATOR)
        await reader.read(http)
        await recipient.read(http)
    assert (reader.seen, recipient.seen) == (["d-1", "d-2", "d-4"], ["d-0", "d-1", "d-3"])
    lose(tmp_path, keys, older.name)

    put_back(tmp_path, made.name)

    async with served(tmp_path) as (service, http):
        parts = service.service
        since = ("d-1", "d-3", "d-5") if keys == "the newest" else ()  # an older ledger knows of nothing since
        for dialog_id in ("d-0", *since):
            with pytest.raises(Erased):
                await keep(parts, dialog_id, owner="shop")
        left = {"d-1", "d-2"} - set(since)
        assert await noted(parts) == {dialog_id: f"Note on {dialog_id}" for dialog_id in left}
        async with http.get("/v1/stats", headers=bearer(revoked)) as response:
            assert response.status == (401 if since else 200)
        await keep(parts, "d-6", owner="shop")
        await parts.archive.erase("d-2", "withdrawn")

        for walk in (reader, recipient):
            problem = await walk.refused(http)
            assert problem["code"] == "restored"
            assert "start again without a cursor" in problem["detail"]
        reader, recipient = reader.again(), recipient.again()
        await reader.read(http)
        await recipient.read(http)
        await keep(parts, "d-7", owner="shop")
        await parts.archive.erase("d-6", "withdrawn")
        await reader.read(http)
        await recipient.read(http)

    assert reader.seen == (["d-6", "d-7"] if since else ["d-1", "d-6", "d-7"])
    assert set(recipient.seen) == {"d-0", "d-2", "d-6", *since} - {"d-5"}


@pytest.mark.parametrize("epoch", ["goes on", "has ended"])
async def test_an_old_copy_of_the_data_opens_nothing_that_was_erased_with_the_keys_of_today(
    tmp_path: Path, epoch: str
) -> None:
    copies = tmp_path / "copies"
    async with served(tmp_path) as (service, http):
        parts = service.service
        token = await service.create_key("data:read", "data:identify", name="ann")
        await keep(parts, "d-1", [WORDS], customer_id="alice", owner="shop")
        await keep(parts, "d-2", customer_id="bob", owner="shop")
        customer = parts.archive.pseudonym("alice")
        for body in ({"q": SOUGHT}, {"customer_id": "alice"}, {"customer": customer}):
            async with http.post("/v1/messages/search", json=body, headers=bearer(token)) as response:
                assert response.status == 200
        made = await backup.back_up(parts, copies, FIRST)
        await parts.privacy_requests.erase("alice", by=OPERATOR)
        if epoch == "has ended":
            assert await parts.rotation.turn()
        await backup.back_up(parts, copies, SECOND)
        deployment = parts.deployment
    old = copies / "data" / f"{made.name}.db"

    for secret in (WORDS, SOUGHT, "alice", customer):
        assert secret.encode() not in old.read_bytes()
    with closing(connect(old)) as db:
        sealed = [value for row in db.execute("SELECT texts, customer FROM seals") for value in row]
        assert sealed  # the words are there, without their key
        assert not db.execute("SELECT * FROM dialog_keys").fetchall()
    vault = Vault(deployment, FileMasters(tmp_path / "keys").all())
    for value in sealed:
        with pytest.raises(Unopenable):
            vault.unwrap(value[:64], "d-1")

    # Somebody copies it in place by hand, beside the keys of today.
    elsewhere = Settings(data_dir=tmp_path / "elsewhere", keys_dir=tmp_path / "keys")
    elsewhere.data_dir.mkdir()
    shutil.copyfile(old, elsewhere.data_dir / "consentful.db")
    with pytest.raises(BadDatabase, match=r"without its keys.*consentful restore"):
        async with open_service(elsewhere):
            pass
    shutil.rmtree(elsewhere.data_dir)
    if epoch == "has ended":
        with pytest.raises(BadBackup, match="no backup"):  # its keys ended with the epoch
            backup.restore(copies, made.name, backend_of("", elsewhere.data_dir), elsewhere.keys_dir)
        return
    backup.restore(copies, made.name, backend_of("", elsewhere.data_dir), elsewhere.keys_dir)
    async with open_service(elsewhere) as parts:
        log = await parts.access_log.search(Trace(action="messages.read"), limit=100)
        assert len(log.items) == 3  # who looked, and by which filters; but not what for
        shown = repr([(entry.filters, entry.values) for entry in log.items])
        assert await parts.store.dialogs.of_customer(customer) == []
        with pytest.raises(Erased):
            await keep(parts, "d-1", [WORDS], customer_id="alice", owner="shop")
    for secret in (SOUGHT, "alice", customer):
        assert secret not in shown


def lose(home: Path, keys: Keys, older: str) -> None:
    """Lose the data; put the keys of an earlier backup in place of the newest, if these are lost, too."""
    shutil.rmtree(home / "data")
    if keys == "older than the data":
        shutil.rmtree(home / "keys")
        shutil.copytree(home / "copies" / "keys" / older, home / "keys")
        (home / "keys" / "dialog_keys.db").unlink()
