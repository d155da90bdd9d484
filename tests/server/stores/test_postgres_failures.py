"""What an operator is told when PostgreSQL cannot be used: by a sentence and the exit status, and later by the log."""

import asyncio
import logging
import os
import re
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from consentful.wire import Consent
from consentful_server import cli
from consentful_server.archive.store import StoredDialog
from consentful_server.dialogs.dialog import Granted
from consentful_server.errors import StorageFailed
from consentful_server.service import Service, open_service
from consentful_server.settings import Settings
from consentful_server.stores.open import backend_of
from consentful_server.stores.postgres import backend, connection, failures
from consentful_server.stores.postgres.failures import is_passing, remedy_of, told
from needs import need
from postgres_server import GUARDED, database_of, named_in, server
from sealed import CATALOGUE, spoken

DISK = 24 * 1024 * 1024


@pytest.fixture(autouse=True)
def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "START_S", 0.2)
    monkeypatch.setattr(connection, "_AGAIN_S", 0.1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")


async def url(tmp_path: Path, user: str = "", role: str = "", more: str = "") -> str:
    """Return the URL of a database of the test's own, for a user that is made with these options."""
    made = await database_of(tmp_path)
    if user:
        name = named_in(made)
        await server().run(f"DROP ROLE IF EXISTS {user}")
        await server().run(f"CREATE ROLE {user} {role}")
        made = server().url(name, user)
    return made + more


def refused(capsys: pytest.CaptureFixture[str], database: str) -> tuple[int, str]:
    """Return the exit status of a start and what it says: one line, without a password or a traceback."""
    status = cli.run(["migrate", "--database", database])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "secret" not in said
    return status, said.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("database", "status", "says"),
    [
        ("postgresql://ann:secret@db.example:port/kept", 2, "setting: database: must be postgresql://user@host"),
        ("postgresql://ann:secret@127.0.0.1:1/kept", 75, "ann@127.0.0.1:1/kept cannot be reached; check that it runs"),
        ("postgresql://ann:secret@nowhere.invalid/kept", 75, "its host name is unknown; correct it in --database"),
        ("postgresql://ann:secret@/kept?host=/nowhere", 75, "kept?host=/nowhere cannot be reached"),
        ("postgresql://ann:secret@db/kept?sslmode=verifyfull", 2, "`sslmode` must be one of prefer, allow, disable"),
        (
            "postgresql://ann:secret@db/kept?sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
            2,
            "`sslrootcert` must be a file that this user can read; /nowhere/ca.pem is not",
        ),
    ],
)
def test_an_address_that_leads_nowhere(
    capsys: pytest.CaptureFixture[str], database: str, status: int, says: str
) -> None:
    code, said = refused(capsys, database)

    assert (code, says in said) == (status, True), said


SERVED = {
    "no database": ({"more": ""}, "nowhere", 2, "does not exist; create it with `createdb`"),
    "wrong password": (
        {"user": GUARDED, "role": "LOGIN PASSWORD 'right'", "more": "&password=secret"},
        "",
        2,
        "refuses this user or password; correct the user in --database, or the password in ~/.pgpass",
    ),
    "may not log in": ({"user": "closed", "role": "NOLOGIN"}, "", 2, "does not let this user in; correct the user"),
    "no connection left": (
        {"user": "limited", "role": "LOGIN CONNECTION LIMIT 0"},
        "",
        75,
        "has no connection left for this user; raise max_connections or the user's limit, or lower --workers",
    ),
    "read-only": (
        {"more": "&default_transaction_read_only=on"},
        "",
        2,
        "is read-only for this user; set default_transaction_read_only = off",
    ),
    "no standby": (
        {"more": "&target_session_attrs=standby"},
        "",
        75,
        "has no host of the role that `target_session_attrs`",
    ),
    "no schema": ({"more": "&search_path=nowhere"}, "", 2, "has no schema of the `search_path`; create the schema"),
    "no such setting": ({"more": "&pool_size=5"}, "", 2, "knows no setting of the name that a parameter of --database"),
    "no such value": ({"more": "&statement_timeout=soon"}, "", 2, "refuses the value of a parameter of --database"),
    "not durable": ({"more": "&synchronous_commit=off"}, "", 2, "has synchronous_commit off"),
}


@pytest.mark.parametrize("case", SERVED)
def test_a_server_that_cannot_be_used(case: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    how, other, status, says = SERVED[case]
    database = asyncio.run(url(tmp_path, **how)) if not other else server().url(other)

    code, said = refused(capsys, database)

    assert (code, says in said) == (status, True), said
    assert not list(tmp_path.glob("keys/*"))


@pytest.mark.parametrize("table", ["dialogs (id int)", "schema_migrations (version text)"])
async def test_a_database_of_another_program(table: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    name = f"of_another_{table.partition(' ')[0]}"
    await server().run(f"CREATE DATABASE {name}")
    await server().run(f"CREATE TABLE {table}", name)

    code, said = await asyncio.to_thread(refused, capsys, server().url(name))

    assert (code, "has tables of another program with the names of ours; name an empty database" in said) == (
        2,
        True,
    ), said
    assert not list(tmp_path.glob("keys/*"))


async def test_a_pooler_that_refuses_the_settings_of_a_connection(capsys: pytest.CaptureFixture[str]) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # SSLRequest
        writer.write(b"N")
        await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)  # StartupMessage
        fields = b"SFATAL\0C08P01\0Munsupported startup parameter: statement_timeout\0\0"  # as PgBouncer 1.18 answers
        writer.write(b"E" + (4 + len(fields)).to_bytes(4) + fields)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as pooler:
        port = pooler.sockets[0].getsockname()[1]
        code, said = await asyncio.to_thread(refused, capsys, f"postgresql://ann:secret@127.0.0.1:{port}/kept")

    assert (code, "connect to PostgreSQL directly, not through a pooler" in said) == (2, True), said


def test_a_server_that_is_too_old(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "OLDEST", 990_000)

    code, said = refused(capsys, asyncio.run(url(tmp_path)))

    assert (code, "and 99 or later is needed; upgrade the server" in said) == (2, True), said


async def test_a_server_that_is_starting_up_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database = await database_of(tmp_path)
    monkeypatch.setattr(backend, "START_S", 30.0)
    answers: list[Exception] = [asyncpg.CannotConnectNowError("the database system is starting up"), OSError()]
    connect: Any = asyncpg.connect  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    async def at_last(url: str, **given: Any) -> Any:
        if answers:
            raise answers.pop(0)
        return await connect(url, **given)

    monkeypatch.setattr(asyncpg, "connect", at_last)

    async with open_service(Settings(database=database, keys_dir=tmp_path / "keys")) as service:
        await service.store.probe()

    waits = [record.message for record in caplog.records if record.message.startswith("waiting for postgresql://")]
    assert len(waits) == 2
    assert "starting up" in waits[0]


@pytest.mark.parametrize(
    ("error", "passes", "says"),
    [
        (asyncpg.CannotConnectNowError(""), True, "starting up"),
        (TimeoutError(), True, "cannot be reached"),
        (asyncpg.ReadOnlySQLTransactionError(""), False, "read-only"),
        (asyncpg.DiskFullError(""), False, "disk space"),
        (asyncpg.UniqueViolationError("the value is a secret"), False, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_only_what_can_pass_is_waited_for(error: Exception, passes: bool, says: str | None) -> None:
    assert is_passing(error) == passes
    assert (says is None) == (remedy_of(error) is None)
    assert says is None or says in str(told(error)["remedy"])
    assert "secret" not in str(told(error))


def test_each_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "postgresql.md").read_text("utf-8")

    for _, remedy in failures.REMEDIES:
        assert f"| {re.split('[;:] ', remedy)[0]}" in page.replace("or is read-only", "|\n| is read-only")


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Path]:
    """A file system of a few megabytes, on which PostgreSQL can have tables."""
    folder = server().folder / f"disk-{tmp_path.name}"
    folder.mkdir()
    stat = server().folder.stat()
    options = f"size={DISK},uid={stat.st_uid},gid={stat.st_gid},mode=0700"
    done = subprocess.run(
        [need("mount"), "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system of its own can be mounted here, which takes root: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
async def small(disk: Path, tmp_path: Path) -> AsyncGenerator[Service]:
    """A service whose database is on that file system."""
    place = disk / "tables"
    place.mkdir(mode=0o700)
    os.chown(place, disk.stat().st_uid, disk.stat().st_gid)
    await server().run(f"CREATE TABLESPACE small LOCATION '{place}'")
    await server().run("CREATE DATABASE on_a_small_disk TABLESPACE small")
    database = server().url("on_a_small_disk")
    backend_of(database, tmp_path).migrate()
    async with open_service(Settings(database=database, keys_dir=tmp_path / "keys")) as service:
        yield service
    await server().run("DROP DATABASE on_a_small_disk")
    await server().run("DROP TABLESPACE small")


async def keep(service: Service, dialog_id: str) -> None:
    dialog = spoken(dialog_id, ("Hi" * 2000,) * 100)
    granted = dialog.decide(Consent(True, 100), CATALOGUE)
    assert isinstance(granted, Granted)
    await service.archive.keep(dialog, granted, owner="shop", channel="websocket")


async def test_a_full_disk_stores_nothing_says_so_and_goes_on_by_itself(
    small: Service, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await keep(small, "d-before")
    filler = fill(disk)

    stored = await keep_until_refused(small)
    filler.unlink()
    await keep(small, "d-after")

    remedies = [str(record.__dict__.get("remedy")) for record in caplog.records if record.levelno >= logging.WARNING]
    assert "the database has no disk space left; free some, and the service goes on by itself" in remedies
    await small.store.probe()
    for dialog_id in (*stored, "d-before", "d-after"):
        assert isinstance(await small.archive.find(dialog_id), StoredDialog)


async def keep_until_refused(service: Service) -> list[str]:
    """Return the dialogs that found room in the pages that PostgreSQL had already."""
    for number in range(100):
        try:
            await keep(service, f"d-{number}")
        except StorageFailed:
            return [f"d-{it}" for it in range(number)]
    raise AssertionError("everything was stored")


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
    return filler
