"""A database whose files are moved, deleted or replaced while it is open: what is not there is not told as stored."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from consentful_server.errors import OutcomeUnknown, StorageFailed
from consentful_server.stores.sqlite.backend import SQLiteBackend
from consentful_server.stores.sqlite.location import Location
from consentful_server.stores.sqlite.writer import Writer
from consentful_server.testing import FakeClock
from sealed import candidate, open_store

Displace = Callable[[Path], object]


def move_the_folder(database: Path) -> None:
    database.parent.rename(database.parent.with_name("aside"))


def delete_the_folder(database: Path) -> None:
    shutil.rmtree(database.parent)


def replace_the_folder(database: Path) -> None:
    """As a restore beside the running service does: everything is there, and is another file."""
    move_the_folder(database)
    shutil.copytree(database.parent.with_name("aside"), database.parent)


def delete_the_database(database: Path) -> None:
    database.unlink()


def delete_the_log(database: Path) -> None:
    database.with_name(f"{database.name}-wal").unlink()


@pytest.mark.parametrize(
    "displace", [move_the_folder, delete_the_folder, replace_the_folder, delete_the_database, delete_the_log]
)
async def test_nothing_is_stored_in_a_file_that_nobody_will_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, displace: Displace
) -> None:
    database = tmp_path / "data" / "test.db"
    database.parent.mkdir()
    store = await open_store(database, FakeClock())
    await store.dialogs.keep(candidate("d-1"))

    displace(database)

    for _ in range(2):
        with pytest.raises(StorageFailed):
            await store.dialogs.keep(candidate("d-2"))
    with pytest.raises(StorageFailed):
        await store.probe()
    assert await store.dialogs.find("d-2") is None
    await store.close()
    (told,) = [record for record in caplog.records if "moved or deleted" in record.message]
    assert told.levelno == logging.ERROR
    assert told.__dict__["file"].startswith(str(database))


async def test_it_goes_on_where_the_folder_is_put_back(tmp_path: Path) -> None:
    database = tmp_path / "data" / "test.db"
    database.parent.mkdir()
    store = await open_store(database, FakeClock())
    move_the_folder(database)
    with pytest.raises(StorageFailed):
        await store.dialogs.keep(candidate("d-1"))

    database.parent.with_name("aside").rename(database.parent)

    await store.probe()
    await store.dialogs.keep(candidate("d-1"))
    await store.close()


async def test_the_outcome_of_a_commit_that_the_move_overtook_is_unknown(tmp_path: Path) -> None:
    database = tmp_path / "data" / "test.db"
    SQLiteBackend(database).migrate()
    writer = await Writer.open(database, FakeClock(), lambda _: move_the_folder(database))

    with pytest.raises(OutcomeUnknown):
        await writer.write(lambda db: db.execute("INSERT INTO facts VALUES ('a', x'00')"))

    await writer.close()


async def test_a_link_to_the_database_is_followed(tmp_path: Path) -> None:
    real, link = tmp_path / "disk" / "real.db", tmp_path / "test.db"
    real.parent.mkdir()
    link.symlink_to(real)
    store = await open_store(link, FakeClock())
    await store.dialogs.keep(candidate("d-1"))

    delete_the_log(real)

    with pytest.raises(StorageFailed):
        await store.dialogs.keep(candidate("d-2"))
    await store.close()


def test_what_is_in_its_place_is_not_displaced(tmp_path: Path) -> None:
    database, log = tmp_path / "test.db", tmp_path / "test.db-wal"
    database.touch()
    log.touch()
    location = Location(database)

    assert location.displaced() is None
    log.write_bytes(b"x")
    assert location.displaced() is None
    log.unlink()
    assert location.displaced() == log
