"""Files that an earlier database left behind: nothing is mixed with them, and nothing of them is overwritten."""

from contextlib import closing
from pathlib import Path

import pytest

from consentful_server.errors import BadDatabase
from consentful_server.stores.sqlite.backend import SQLiteBackend
from consentful_server.stores.sqlite.connection import connect, sqlite3
from consentful_server.testing import FakeClock
from sealed import open_store

SIDE_FILES = ["-wal", "-shm", "-journal"]


def killed(path: Path) -> bytes:
    """Make a database whose last commit is in its write-ahead log alone, as after a kill; return that log."""
    SQLiteBackend(path).migrate()
    with closing(connect(path)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("INSERT INTO facts VALUES ('marker', x'01')")
        return path.with_name(f"{path.name}-wal").read_bytes()


def rolled_back_to(path: Path) -> None:
    """Switch the database to a rollback journal, the state in which a restore leaves it."""
    with closing(connect(path)) as db:
        db.execute("PRAGMA journal_mode = DELETE")


@pytest.mark.parametrize("suffix", SIDE_FILES)
def test_a_start_without_the_database_that_a_side_file_belongs_to_is_refused(tmp_path: Path, suffix: str) -> None:
    path, left = tmp_path / "test.db", tmp_path / f"test.db{suffix}"
    left.write_bytes(b"acknowledged")

    with pytest.raises(BadDatabase, match=rf"test\.db{suffix}.*move"):
        SQLiteBackend(path).migrate()

    assert left.read_bytes() == b"acknowledged"
    assert not path.exists()


def test_an_empty_database_does_not_take_a_log_that_cannot_be_its_own(tmp_path: Path) -> None:
    """SQLite writes a page before the first log: so a log beside an empty file belongs to an earlier database."""
    path = tmp_path / "test.db"
    log = killed(path)
    path.write_bytes(b"")
    path.with_name("test.db-wal").write_bytes(log)

    with pytest.raises(BadDatabase, match=r"test\.db-wal.*move"):
        SQLiteBackend(path).migrate()

    assert path.with_name("test.db-wal").read_bytes() == log


def test_a_restored_database_does_not_take_the_log_of_the_one_before(tmp_path: Path) -> None:
    """SQLite checks a log against its own checksums alone, and would write its pages into any database."""
    path = tmp_path / "test.db"
    log = killed(path)
    rolled_back_to(path)
    restored = path.read_bytes()
    path.with_name("test.db-wal").write_bytes(log)

    with pytest.raises(BadDatabase, match=r"test\.db-wal.*move"):
        SQLiteBackend(path).migrate()

    assert path.read_bytes() == restored


def test_a_rollback_journal_beside_a_database_that_has_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    SQLiteBackend(path).migrate()
    before = path.read_bytes()
    path.with_name("test.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))

    with pytest.raises(BadDatabase, match=r"test\.db-journal.*move"):
        SQLiteBackend(path).migrate()

    assert path.read_bytes() == before


def test_what_an_interrupted_restore_left_is_named_and_kept(tmp_path: Path) -> None:
    left = tmp_path / ".test.db.restoring-wal"
    left.write_bytes(b"keys")

    with pytest.raises(BadDatabase, match=r"\.test\.db\.restoring-wal.*interrupted restore"):
        SQLiteBackend(tmp_path / "test.db").migrate()

    assert left.read_bytes() == b"keys"
    assert not (tmp_path / "test.db").exists()


async def test_a_database_after_a_kill_starts_with_its_own_log(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    log = killed(path)
    with closing(sqlite3.connect(path)) as db:  # the close above copied the log into the database: undo that
        db.execute("DELETE FROM facts WHERE name = 'marker'")
        db.commit()
    path.with_name("test.db-wal").write_bytes(log)

    store = await open_store(path, FakeClock())
    try:
        assert "marker" in await store.facts.all()
    finally:
        await store.close()


def test_two_starts_at_once_on_a_new_database_do_not_refuse_each_other(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    with closing(connect(path)):  # created, empty, and open in another process
        SQLiteBackend(path).migrate()

        SQLiteBackend(path).migrate()
