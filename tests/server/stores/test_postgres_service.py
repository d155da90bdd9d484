"""The whole service on PostgreSQL: what chatbots, data scientists and privacy officers do, and what is on its disk."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import ClientSession

import consentful
from consentful_server.archive.store import Tombstone
from consentful_server.operations import backup
from consentful_server.stores.open import backend_of
from consentful_server.testing import FakeClock, serve
from kept import keep, messages
from postgres_server import PostgresServer, database_of, named_in, server

WORDS = "Zinnober-Marzipan ist mein Geheimnis"
CUSTOMER = "Adelheid Quastenflosser"
NOTE = "Wolkenkuckucksheim"


async def speak(url: str, dialog_id: str) -> consentful.Stored:
    async with consentful.open_dialog(
        url, customer_id=CUSTOMER, dialog_id=dialog_id, language="de", metadata={"note": NOTE}
    ) as dialog:
        await dialog.say(WORDS)
        await dialog.say("Danke!", role="bot")
        return await dialog.grant()


async def status(http: ClientSession, request: str) -> str:
    async with http.get(f"/v1/privacy-requests/{request}") as response:
        return (await response.json())["status"]


async def statements(running: PostgresServer) -> str:
    """Return every statement that the server has counted, as its extension shows them to operators."""
    await running.run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    return await running.run("SELECT string_agg(query, ';') FROM pg_stat_statements")


async def files_with(running: PostgresServer, *needles: str) -> set[str]:
    """Return which of these are anywhere in the server's folder: tables, write-ahead log, its own log."""
    await running.run("CHECKPOINT")
    found: set[str] = set()
    for path in running.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found |= {it for it in needles if it.encode() in content or it.encode("utf-16-le") in content}
    return found


async def test_what_was_granted_is_read_erased_and_stays_erased(tmp_path: Path, clock: FakeClock) -> None:
    database = await database_of(tmp_path)
    async with serve(folder=tmp_path, clock=clock, database=database) as served:
        for dialog_id in ("d-1", "d-2"):
            await speak(served.url, dialog_id)
        read = [message.text async for message in consentful.Reader(served.url).messages()]
        assert sorted(read) == ["Danke!", "Danke!", WORDS, WORDS]
        async with ClientSession(served.url) as http:
            body: dict[str, Any] = {"kind": "erasure", "customer_id": CUSTOMER}
            async with http.post("/v1/privacy-requests", json=body) as response:
                request = (await response.json())["id"]
            # Earlier versions of the keys' rows are in PostgreSQL's files until the master key's epoch ends.
            assert await status(http, request) == "pending"
            assert [message async for message in consentful.Reader(served.url).messages()] == []
            assert await served.service.rotation.turn()
            assert await status(http, request) == "complete"

    async with serve(folder=tmp_path, clock=clock, database=database) as served:
        assert isinstance(await served.service.archive.find("d-1"), Tombstone)
        with pytest.raises(consentful.Erased):
            await speak(served.url, "d-1")
        assert (await speak(served.url, "d-3")).messages == 2
        async with ClientSession(served.url) as http, http.get("/v1/access-log") as response:
            actions = {entry["action"] for entry in (await response.json())["items"]}
        assert {"dialog.requested", "request.erasure"} <= actions
        assert (await served.service.access_log.check()).fault is None


async def test_no_word_and_no_customer_is_in_the_servers_files(tmp_path: Path, clock: FakeClock) -> None:
    async with serve(folder=tmp_path, clock=clock, database=await database_of(tmp_path)) as served:
        await speak(served.url, "d-visible-by-its-id")
        async with ClientSession(served.url) as http:
            body = {"q": "Zinnober-Marzipan", "customer_id": CUSTOMER}
            async with http.post("/v1/messages/search", json=body) as response:
                assert len((await response.json())["items"]) == 1

        needles = [WORDS, "Zinnober-Marzipan", CUSTOMER, NOTE, "d-visible-by-its-id"]
        found = await files_with(server(), *needles)
        counted = await statements(server())

    assert found == {"d-visible-by-its-id"}  # this one shows that the search finds what is there
    assert "INSERT INTO seals" in counted  # and so does this one
    assert not [needle for needle in needles if needle in counted]


async def test_a_backup_of_it_is_restored_into_a_new_database_and_proves_itself(tmp_path: Path) -> None:
    here, there, copies = tmp_path / "here", tmp_path / "there", tmp_path / "copies"
    clock = FakeClock()
    async with serve(folder=here, clock=clock, database=await database_of(here)) as served:
        stored = await speak(served.url, "d-1")
        made = await backup.back_up(served.service, copies, clock.now())

    url = await database_of(there)
    name = named_in(url)
    for statement in ("DROP", "CREATE"):
        await server().run(f"{statement} DATABASE {name}")
    backup.restore(copies, made.name, backend_of(url, there / "data"), there / "keys")

    async with serve(folder=there, clock=clock, database=url) as served:
        found = await served.service.archive.find("d-1")
        again = await speak(served.url, "d-1")
    assert found is not None
    assert (again.receipt, again.withdrawal_code) == (stored.receipt, stored.withdrawal_code)


async def test_what_waits_for_an_answer_takes_few_round_trips(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes longer on its way than the server takes for it."""
    asked: list[str] = []
    for name in ("execute", "fetch", "fetchrow", "fetchval"):
        monkeypatch.setattr(asyncpg.Connection, name, _noting(getattr(asyncpg.Connection, name), asked))
    async with serve(clock=clock, database=await database_of(tmp_path)) as served:
        await keep(served.service, "d-1")
        asked.clear()
        await keep(served.service, "d-2")
        assert len(asked) == 4, "begin, what is known, insert, commit"
        async with ClientSession(served.url) as http:
            asked.clear()
            assert len(await messages(http)) == 2
        assert len(asked) == 3 + 4, "begin, the page, end; begin, the log's head, append, commit"


def _noting(run: Callable[..., Awaitable[Any]], asked: list[str]) -> Callable[..., Awaitable[Any]]:
    async def noted(connection: object, sql: str, *values: object, **options: object) -> Any:
        asked.append(sql)
        return await run(connection, sql, *values, **options)

    return noted
