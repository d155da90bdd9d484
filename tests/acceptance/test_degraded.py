"""What chatbots, readers and officers see while a part is gone: each row of docs/degraded.md is made true here."""

import asyncio
import re
import shutil
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from aiohttp import ClientConnectorCertificateError, ClientSession, TCPConnector, WSServerHandshakeError

from certificates import make_pair
from consentful.wire import Consent, Error, Stored
from consentful_server import testing
from consentful_server.app import drain
from consentful_server.dialogs.registry import DIALOG_BYTES
from consentful_server.operations import housekeeping
from consentful_server.testing import FakeClock, Served
from kept import keep
from key_service import StandIn
from live import PATH, Live, connect
from logs import logged
from nodes.database import database_server
from project.test_docs import rows
from raw import UPGRADE
from small_disk import fill, small_disk

from ..deploy.alerting import alerts
from ..server.auth.providers import AUDIENCE, provider

DAY: Final = 86400
MIB: Final = 1024 * 1024
COLUMNS: Final = ("a new dialog", "a grant", "a page", "an erasure", "/readyz")
DOCUMENTED: Final = {row[0]: row[1:] for row in rows("degraded.md", "what is gone")}

Seen: TypeAlias = list[str]


class Client:
    """A chatbot with an open dialog, a reader and a privacy officer, all with one credential."""

    def __init__(self, http: ClientSession, live: Live) -> None:
        self._http = http
        self._live = live

    async def sees(self) -> Seen:
        """Try everything once; return what comes of each, as the table tells it."""
        tries = (self._open, self._grant, self._read, self._erase, self._look)
        return [await _or_no_connection(each) for each in tries]

    async def _open(self) -> str:
        try:
            async with connect(self._http, "") as live:
                await live.open()
                return "opened"
        except WSServerHandshakeError:  # it has no body
            async with self._http.get(PATH, headers=UPGRADE) as response:
                return await _told(response)

    async def _grant(self) -> str:
        await self._live.send(Consent(granted=True, last_seq=self._live.said))
        while not isinstance(frame := await self._live.next_frame(), Stored | Error):
            pass
        if isinstance(frame, Stored):
            return "stored"
        if frame.code == "storage":
            await self._live.say("still held")
            return "storage, stays open"
        return f"{frame.code}, closed with {await self._live.closed()}"

    async def _read(self) -> str:
        async with self._http.get("/v1/messages") as response:
            return await _told(response)

    async def _erase(self) -> str:
        asked = {"kind": "erasure", "customer_id": "c-9"}
        async with self._http.post("/v1/privacy-requests", json=asked) as response:
            return (await response.json())["status"] if response.status == 201 else await _told(response)

    async def _look(self) -> str:
        async with self._http.get("/readyz") as response:
            return await _told(response)


async def _or_no_connection(trial: Callable[[], Awaitable[str]]) -> str:
    try:
        return await trial()
    except ClientConnectorCertificateError:
        return "no connection"


async def _told(response: Any) -> str:
    """Return the status, and the code of the problem, if it is one."""
    if response.status < 400:
        return str(response.status)
    return f"{response.status} {(await response.json(content_type=None))['code']}"


@asynccontextmanager
async def client_of(
    served: Served, token: str | None = None, trusted: ssl.SSLContext | None = None
) -> AsyncGenerator[Client]:
    """Yield a client whose dialog is open; a stored dialog of another customer waits for being erased."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connector = TCPConnector(ssl=trusted or True, force_close=True)
    async with ClientSession(served.url, headers=headers, connector=connector) as http, connect(http, "") as live:
        await keep(served.service, "d-9", customer_id="c-9")
        await live.open()
        await live.say("Hi")
        yield Client(http, live)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "_TICK_S", 0.01)


async def later(clock: FakeClock, seconds: float) -> None:
    """Let time pass, twice: the background task that fails has failed for that long."""
    for _ in range(2):
        with logged("consentful.housekeeping", "chore failed") as failed:
            clock.advance(seconds)
            async with asyncio.timeout(10):
                await failed.wait()


async def nothing(folder: Path) -> Seen:
    async with testing.serve(folder=folder) as served, client_of(served) as client:
        return await client.sees()


async def the_memory(folder: Path) -> Seen:
    memory = 1_000_000
    async with (
        testing.serve(folder=folder, memory=memory, max_dialog_bytes=memory) as served,
        client_of(served) as client,
        ClientSession() as http,
        connect(http, served.url) as greedy,
    ):
        await greedy.open()
        registry = served.service.registry
        while registry.bytes_used + DIALOG_BYTES <= memory:
            left = memory - DIALOG_BYTES // 2 - registry.bytes_used
            await greedy.say("x" * min(16_000, left // 2))
        return await client.sees()


async def the_disk(folder: Path) -> Seen:
    with small_disk(folder, 12 * MIB) as small:
        async with testing.serve(folder=small, reserve=2 * MIB) as served, client_of(served) as client:
            assert await served.service.store.hold_reserve()
            await served.service.store.dialogs.residue([])  # the log is cut, and has no room of its own left
            filler = fill(small)
            seen = await client.sees()
            filler.unlink()  # or the server could not write what it counted when it ends
            return seen


async def the_database(folder: Path, *, read_only: bool) -> Seen:
    async with database_server("127.0.0.1") as database:
        await database.create()
        async with testing.serve(folder=folder, database=database.url) as served, client_of(served) as client:
            if read_only:
                await database.set("default_transaction_read_only", "on")
            else:
                await database.killed()
            seen = await client.sees()
            await database.start()
            await database.ask("ALTER SYSTEM RESET default_transaction_read_only")
            await database.ask("SELECT pg_reload_conf()")
            return seen


async def the_database_altogether(folder: Path) -> Seen:
    return await the_database(folder, read_only=False)


async def the_database_for_writing(folder: Path) -> Seen:
    return await the_database(folder, read_only=True)


@contextmanager
def without_keys(folder: Path) -> Generator[None]:
    away = (folder / "keys").rename(folder / "away")
    yield
    away.rename(folder / "keys")


async def the_keys_folder(folder: Path) -> Seen:
    async with testing.serve(folder=folder) as served, client_of(served) as client:
        with without_keys(folder):
            assert not await served.service.store.hold_reserve()  # as the server does every 30 s
            return await client.sees()


async def the_file(folder: Path) -> Seen:
    data = folder / "data"
    async with testing.serve(folder=folder) as served, client_of(served) as client:
        shutil.copytree(data.rename(folder / "aside"), data)
        try:
            return await client.sees()
        finally:
            shutil.rmtree(data)
            (folder / "aside").rename(data)


async def the_key_service(folder: Path) -> Seen:
    clock, service = FakeClock(), StandIn(folder / "kms")
    async with (
        testing.serve(folder=folder, clock=clock, keys_command=service.command) as served,
        client_of(served) as client,
    ):
        service.go_down()
        for _ in range(2):
            clock.advance(housekeeping.PATIENCE_S / 2)
        return await client.sees()


async def the_key_service_when_the_epoch_ends(folder: Path) -> Seen:
    clock, service = FakeClock(), StandIn(folder / "kms")
    async with testing.serve(folder=folder, clock=clock, keys_command=service.command) as served:
        service.go_down()
        await later(clock, 8 * DAY)
        async with client_of(served) as client:
            return await client.sees()


async def the_provider(folder: Path, *, for_s: float) -> Seen:
    clock = FakeClock()
    async with AsyncExitStack() as providing:
        fake = await providing.enter_async_context(provider())
        settings = {
            "auth": "oidc",
            "issuer": fake.issuer,
            "audience": AUDIENCE,
            "idle_timeout": 2 * DAY,
            "max_duration": 2 * DAY,
        }
        scope = "dialogs:write data:read privacy"
        token = fake.token(clock, scope=scope, exp=int(clock.now().timestamp()) + 30 * DAY)
        async with testing.serve(folder=folder, clock=clock, **settings) as served, client_of(served, token) as client:
            await providing.aclose()
            clock.advance(for_s)
            return await client.sees()


async def the_provider_for_a_minute(folder: Path) -> Seen:
    return await the_provider(folder, for_s=60)


async def the_provider_for_a_day(folder: Path) -> Seen:
    return await the_provider(folder, for_s=DAY + 1)


async def the_certificate(folder: Path) -> Seen:
    pair = make_pair(folder)
    async with testing.serve(folder=folder, **pair.settings) as served:
        trusted = pair.trusted()
        async with client_of(served, trusted=trusted) as client:
            with logged("consentful.tls", "certificate loaded") as loaded:
                expired = make_pair(folder, valid_for=timedelta(minutes=-1))
                trusted.load_verify_locations(str(expired.certificate))
                async with asyncio.timeout(10):
                    await loaded.wait()
            return await client.sees()


async def the_server_itself(folder: Path) -> Seen:
    async with testing.serve(folder=folder, grace=600) as served, client_of(served) as client:
        draining = asyncio.create_task(drain(served.service))
        try:
            await asyncio.sleep(0)
            return await client.sees()
        finally:
            draining.cancel()


ROWS: Final[dict[str, Callable[[Path], Awaitable[Seen]]]] = {
    "nothing": nothing,
    "room on the disk": the_disk,
    "memory: live dialogs fill --memory": the_memory,
    "PostgreSQL": the_database_altogether,
    "PostgreSQL's permission to write": the_database_for_writing,
    "the database's file: it was moved, deleted or replaced": the_file,
    "the keys folder": the_keys_folder,
    "the key management service": the_key_service,
    "the key management service, when an epoch ends": the_key_service_when_the_epoch_ends,
    "the identity provider": the_provider_for_a_minute,
    "the identity provider, for a day": the_provider_for_a_day,
    "a valid certificate": the_certificate,
    "the server: it was told to stop": the_server_itself,
}


def test_every_row_is_made_true() -> None:
    assert list(DOCUMENTED) == list(ROWS)


@pytest.mark.parametrize("row", ROWS)
async def test_what_everybody_sees_is_what_the_table_says(row: str, tmp_path: Path) -> None:
    assert await ROWS[row](tmp_path) == DOCUMENTED[row][: len(COLUMNS)]


@pytest.mark.parametrize("row", ROWS)
def test_the_alert_of_a_row_is_one(row: str) -> None:
    told = set(re.findall(r"\[(\w+)\]", DOCUMENTED[row][len(COLUMNS)]))

    assert told <= set(alerts())
    assert bool(told) == ("503" in " ".join(DOCUMENTED[row]) or "no connection" in DOCUMENTED[row])
