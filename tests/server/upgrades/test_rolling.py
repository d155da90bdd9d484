"""Two releases on one PostgreSQL database: which steps let an earlier one go on, and what happens to the others."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consentful_server.errors import BadDatabase
from consentful_server.operations import backup
from consentful_server.service import open_service
from consentful_server.settings import Settings
from consentful_server.stores.open import backend_of
from consentful_server.stores.postgres import migrations as steps
from consentful_server.stores.postgres.migrations import BESIDE, Migration, migrations
from kept import keep
from postgres_server import database_of, named_in, server

NEWEST = migrations()[-1].number
ADDS = "ALTER TABLE dialogs ADD COLUMN later TEXT; CREATE TABLE later (number BIGINT PRIMARY KEY);"
ADDITIVE = (
    r"CREATE (TABLE|INDEX|SEQUENCE) .*",
    r"ALTER TABLE \w+ ADD COLUMN (?!.*NOT NULL(?!.*DEFAULT)).*",
    r"ALTER TABLE \w+ ADD COLUMN .*DEFAULT.*",
)


@pytest.fixture
async def database(tmp_path: Path) -> str:
    return await database_of(tmp_path)


def settings(database: str, home: Path) -> Settings:
    return Settings(database=database, keys_dir=home / "keys")


def later(sql: str) -> list[Migration]:
    """Return the steps of a later release."""
    return [*migrations(), Migration(NEWEST + 1, "later", sql)]


def only_adds(sql: str) -> bool:
    statements = [" ".join(part.split()) for part in re.sub(r"--[^\n]*", "", sql).split(";")]
    return all(any(re.fullmatch(kind, it) for kind in ADDITIVE) for it in statements if it)


@pytest.mark.parametrize(
    ("sql", "adds"),
    [
        (ADDS, True),
        ("CREATE INDEX later ON dialogs (id); -- DROP TABLE dialogs;", True),
        ("ALTER TABLE dialogs ADD COLUMN later INT NOT NULL DEFAULT 0;", True),
        ("ALTER TABLE dialogs ADD COLUMN later INT NOT NULL;", False),
        ("ALTER TABLE dialogs DROP COLUMN bot;", False),
        ("ALTER TABLE dialogs RENAME COLUMN bot TO chatbot;", False),
        ("UPDATE dialogs SET bot = '';", False),
        ("DROP INDEX later;", False),
    ],
)
def test_what_only_adds_is_known(sql: str, adds: bool) -> None:
    assert only_adds(sql) == adds


def test_a_step_beside_which_earlier_releases_may_run_only_adds_and_says_why() -> None:
    for step in migrations():
        if not step.breaks:
            assert only_adds(step.sql), step.name
            assert len(step.sql.partition("\n")[0]) > len(BESIDE) + 20


async def test_a_step_that_only_adds_is_applied_beside_a_running_server_which_goes_on_and_may_start_again(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = settings(database, tmp_path)
    async with open_service(here) as earlier:
        await keep(earlier, "d-1")
        with monkeypatch.context() as patch:
            patch.setattr(steps, "migrations", lambda: later(f"{BESIDE} nobody needs it yet.\n{ADDS}"))
            async with open_service(here) as newer:
                await keep(newer, "d-2")
        await keep(earlier, "d-3")
        await earlier.archive.erase("d-1", "requested")

    assert backend_of(database, tmp_path).pending() == []
    async with open_service(here) as again:
        assert await again.store.dialogs.find("d-2") is not None
        await keep(again, "d-4")
        with pytest.raises(BadDatabase, match="a later version's"):
            await backup.back_up(again, tmp_path / "copies", datetime(2026, 1, 1, tzinfo=UTC))


async def test_a_step_that_breaks_waits_until_no_earlier_server_runs_and_then_lets_none_start(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = settings(database, tmp_path)
    async with open_service(here) as earlier:
        with monkeypatch.context() as patch:
            patch.setattr(steps, "migrations", lambda: later(ADDS))
            with pytest.raises(BadDatabase, match="stop all of them, then start this one"):
                async with open_service(here):
                    pass
        await keep(earlier, "d-1")

    with monkeypatch.context() as patch:
        patch.setattr(steps, "migrations", lambda: later(ADDS))
        async with open_service(here) as newer:
            assert await newer.store.dialogs.find("d-1") is not None
    with pytest.raises(BadDatabase, match=rf"has schema {NEWEST + 1}, but this program supports {NEWEST}"):
        async with open_service(here):
            pass


async def test_a_database_that_does_not_say_what_breaks_is_taken_for_broken(database: str, tmp_path: Path) -> None:
    name = named_in(database)
    await server().run("ALTER TABLE schema_migrations DROP COLUMN breaks", name)
    await server().run(f"INSERT INTO schema_migrations (number, name) VALUES ({NEWEST + 1}, 'later')", name)

    with pytest.raises(BadDatabase, match="install the version"):
        backend_of(database, tmp_path).migrate()
