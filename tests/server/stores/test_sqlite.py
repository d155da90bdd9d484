"""What only the SQLite store promises: durability settings, erasure to the byte, migrations, and failing disks."""

import asyncio
import errno
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from consentful_server.access_log.chain import OPERATOR, Chain
from consentful_server.access_log.commitments import Commitments
from consentful_server.access_log.log import AccessLog
from consentful_server.archive.sealing import Sealer
from consentful_server.archive.store import SealedDialog, StoredDialog
from consentful_server.errors import BadDatabase, Erased, StorageFailed
from consentful_server.keys.epoch_seals import EpochSeals
from consentful_server.keys.vault import WRAPPED_BYTES, Unopenable
from consentful_server.stores.sqlite import backend, tables, writer
from consentful_server.stores.sqlite import migrations as schema
from consentful_server.stores.sqlite.backend import SQLiteBackend
from consentful_server.stores.sqlite.connection import connect, refuse_affected, sqlite3
from consentful_server.stores.sqlite.migrations import migrate, migrations, statements, version
from consentful_server.stores.sqlite.store import SQLiteStore
from consentful_server.stores.sqlite.writer import Writer
from consentful_server.testing import FakeClock
from needs import need
from sealed import PSEUDONYMS, START, VAULT, candidate, open_store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[SQLiteStore]:
    opened = await open_store(tmp_path / "test.db", FakeClock())
    yield opened
    await opened.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_every_connection_is_durable_and_leaves_nothing_behind(tmp_path: Path, read_only: bool) -> None:
    SQLiteBackend(tmp_path / "test.db").migrate()
    db = connect(tmp_path / "test.db", read_only=read_only)
    pragmas = ("journal_mode", "synchronous", "secure_delete", "temp_store", "query_only", "cache_size")

    values = [db.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in pragmas]
    db.close()

    assert values == ["wal", 2, 1, 2, int(read_only), -512 if read_only else -2000]


@pytest.mark.parametrize("affected", [(3, 40, 1), (3, 51, 2)])
def test_an_sqlite_that_can_corrupt_the_database_is_refused(affected: tuple[int, ...]) -> None:
    with pytest.raises(BadDatabase, match=r"can corrupt.*3\.51\.3.*pysqlite3"):
        refuse_affected(affected)


@pytest.mark.parametrize("safe", [(3, 51, 3), (3, 53, 4), sqlite3.sqlite_version_info])
def test_a_safe_sqlite_is_taken(safe: tuple[int, ...]) -> None:
    refuse_affected(safe)


def test_migrations_are_numbered_without_gaps_and_taken_once(tmp_path: Path) -> None:
    steps = migrations()

    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert [step.number for step in SQLiteBackend(tmp_path / "test.db").migrate()] == [step.number for step in steps]
    assert SQLiteBackend(tmp_path / "test.db").migrate() == []


async def test_what_an_earlier_release_retracted_stays_retracted_for_its_chatbot_alone(tmp_path: Path) -> None:
    step = next(step for step in migrations() if step.name == "retractions")
    SQLiteBackend(tmp_path / "test.db").migrate()
    with closing(connect(tmp_path / "test.db")) as db:
        db.execute("DROP TABLE retractions")
        for dialog_id in ("d-1", "d-2"):
            db.execute(
                "INSERT INTO tombstones (dialog_id, owner, reason, erased_at, messages, purposes)"
                " VALUES (?, 'shop', 'retracted', 5, 0, '[]')",
                (dialog_id,),
            )
        for statement in statements(step.sql):
            db.execute(statement)
    store = await open_store(tmp_path / "test.db", FakeClock())

    with pytest.raises(Erased):
        await store.dialogs.keep(candidate("d-1"))
    kept = await store.dialogs.keep(candidate("d-2", owner="another shop"))
    await store.close()

    assert kept.record.dialog_id == "d-2"


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    SQLiteBackend(tmp_path / "test.db").migrate()
    db = connect(tmp_path / "test.db")
    db.execute("INSERT INTO schema_migrations VALUES (99, 'from the future', '2030-01-01T00:00:00Z')")

    with pytest.raises(BadDatabase, match="schema 99"):
        migrate(db)

    assert version(db) == 99
    db.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test.db").write_bytes(b"not a database " * 500)

    with pytest.raises(BadDatabase, match="not an SQLite database"):
        SQLiteBackend(tmp_path / "test.db").migrate()


async def test_an_erased_key_is_in_no_file(store: SQLiteStore, tmp_path: Path) -> None:
    kept = [
        await store.dialogs.keep(candidate(f"d-{number}", at=START + timedelta(seconds=number)))
        for number in range(200)
    ]
    folder = tmp_path

    def residues() -> set[str]:
        files = b"".join(path.read_bytes() for path in folder.iterdir())
        return {dialog.record.dialog_id for dialog in kept if dialog.wrapped in files or dialog.wrapped[20:52] in files}

    assert len(residues()) == 200  # the search finds what is there
    erased = {f"d-{number}" for number in range(0, 200, 3)}
    await asyncio.gather(*(store.dialogs.erase(dialog_id, "withdrawn") for dialog_id in erased))

    assert residues().isdisjoint(erased)
    assert (folder / "test.db-wal").stat().st_size == 0
    assert len(residues()) == 200 - len(erased)


async def test_an_erasure_under_an_open_reader_is_pending_until_the_reader_goes(
    store: SQLiteStore, tmp_path: Path
) -> None:
    for dialog_id in ("d-1", "d-2"):
        await store.dialogs.keep(candidate(dialog_id))
    reader = connect(tmp_path / "test.db", read_only=True)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM dialogs").fetchone()

    pending = await store.dialogs.erase("d-1", "withdrawn")
    reader.execute("ROLLBACK")
    reader.close()
    done = await store.dialogs.erase("d-1", "withdrawn")

    assert pending is not None
    assert not pending.is_unreadable
    assert done is not None
    assert done.is_unreadable


async def test_commits_wait_for_no_reader_after_an_erasure_that_is_pending(
    store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await store.dialogs.keep(candidate(f"d-{number}"))
    waits: list[int] = []
    truncate = writer._truncate  # pyright: ignore[reportPrivateUsage]

    def watched(db: sqlite3.Connection, busy_ms: int) -> bool:
        waits.append(busy_ms)
        return truncate(db, busy_ms)

    monkeypatch.setattr(writer, "_truncate", watched)
    with closing(connect(tmp_path / "test.db", read_only=True)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM dialogs").fetchone()
        for number in range(2):
            await store.dialogs.erase(f"d-{number}", "withdrawn")
        assert sum(waits) <= 50, "erasures themselves wait for readers shortly, and not one after the other"
        waits.clear()

        for number in range(3, 6):
            await store.dialogs.keep(candidate(f"d-{number}"))

        assert waits == [0, 0, 0]
        reader.execute("ROLLBACK")
    await store.dialogs.keep(candidate("d-6"))
    assert (tmp_path / "test.db-wal").stat().st_size == 0, "the first commit after the reader truncates the log"


async def test_a_write_that_failed_makes_the_store_not_ready_until_one_succeeds(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.probe()
    attempts: list[object] = []
    transact = writer._transact  # pyright: ignore[reportPrivateUsage]

    def fails(*asked: object) -> NoReturn:
        attempts.append(asked)
        raise OSError(errno.EIO, "the disk does not answer")

    monkeypatch.setattr(writer, "_transact", fails)
    with pytest.raises(StorageFailed):
        await store.dialogs.keep(candidate("d-1"))
    attempts.clear()
    with pytest.raises(StorageFailed):
        await store.probe()
    assert attempts, "a fresh success before does not count"

    monkeypatch.setattr(writer, "_transact", transact)
    await store.probe()
    await store.dialogs.keep(candidate("d-1"))


async def test_no_word_and_no_customer_reaches_the_database(store: SQLiteStore, tmp_path: Path) -> None:
    await store.dialogs.keep(candidate("d-1", ("find the marker", "nothing here"), customer_id="customer-4711"))
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert b"d-1" in files  # the search finds what is there
    for secret in (b"marker", b"nothing here", b"customer-4711"):
        assert secret not in files


async def test_one_job_that_breaks_does_not_fail_its_neighbours(tmp_path: Path) -> None:
    SQLiteBackend(tmp_path / "test.db").migrate()
    writer = await Writer.open(tmp_path / "test.db", FakeClock())

    def breaks(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO facts VALUES ('half', x'00')")
        db.execute("INSERT INTO no_such_table VALUES (1)")

    def fact(name: str) -> Callable[[sqlite3.Connection], int]:
        return lambda db: db.execute("INSERT INTO facts VALUES (?, x'01')", (name,)).rowcount

    outcomes = await asyncio.gather(
        writer.write(fact("a")),
        writer.write(breaks),
        writer.write(fact("b")),
        return_exceptions=True,
    )
    facts = await writer.write(lambda db: [row[0] for row in db.execute("SELECT name FROM facts ORDER BY name")])
    await writer.close()

    assert outcomes[0] == outcomes[2] == 1
    assert isinstance(outcomes[1], StorageFailed)
    assert facts == ["a", "b"]


async def test_a_dialog_that_cannot_be_sealed_does_not_fail_its_neighbours(store: SQLiteStore) -> None:
    class Unsealable:
        mark = b""

        @property
        def sealed(self) -> SealedDialog:
            raise Unopenable("d-2")

        def wrapped_since(self, epoch: int) -> bytes:
            raise AssertionError(epoch)

        def reconcile(self, stored: StoredDialog) -> StoredDialog:
            raise AssertionError(stored)

    given = (candidate("d-1"), Unsealable(), candidate("d-3"))

    outcomes = await asyncio.gather(*map(store.dialogs.keep, given), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [StoredDialog, Unopenable, StoredDialog]
    assert await store.dialogs.find("d-2") is None


async def test_a_dialog_whose_key_cannot_be_wrapped_again_does_not_fail_its_neighbours(store: SQLiteStore) -> None:
    """One that breaks within the transaction rolls it back, and each is tried again alone."""

    class Unwrappable(Sealer):
        def wrapped_since(self, epoch: int) -> bytes:
            raise Unopenable("d-2")

    second = candidate("d-2")
    second.__class__ = Unwrappable

    outcomes = await asyncio.gather(
        *map(store.dialogs.keep, (candidate("d-1"), second, candidate("d-3"))), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [StoredDialog, StorageFailed, StoredDialog]


async def test_a_closed_store_refuses_and_what_waited_was_committed(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "test.db", FakeClock())
    waiting = [asyncio.ensure_future(store.dialogs.keep(candidate(f"d-{number}"))) for number in range(50)]
    await asyncio.sleep(0)

    await store.close()

    assert {type(dialog) for dialog in await asyncio.gather(*waiting)} == {StoredDialog}
    with pytest.raises(StorageFailed):
        await store.dialogs.keep(candidate("late"))


async def test_a_probe_writes_only_when_the_last_write_is_old(tmp_path: Path) -> None:
    clock = FakeClock()
    store = await open_store(tmp_path / "test.db", clock)
    await store.probe()
    assert "last probe" not in await store.facts.all()

    clock.advance(6)
    await store.probe()

    assert "last probe" in await store.facts.all()
    await store.close()


FAILING_DISK = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from consentful_server.errors import OutcomeUnknown, StorageFailed
from consentful_server.testing import FakeClock
from needs import need
from sealed import open_store, candidate

async def main():
    store = await open_store(Path({database!r}), FakeClock())
    for number in range({dialogs}):
        try:
            await store.dialogs.keep(candidate(f"d-{{number}}"))
            print("stored", number, flush=True)
        except StorageFailed:
            print("failed", number, await store.dialogs.find(f"d-{{number}}") is None, flush=True)
        except OutcomeUnknown:
            print("unknown", number, flush=True)
    try:
        await store.probe()
        print("ready", flush=True)
    except (StorageFailed, OutcomeUnknown):
        print("not ready", flush=True)
    import os
    os._exit(0)  # as a crash would: no checkpoint on the way out

asyncio.run(main())
"""


def on_a_failing_disk(tmp_path: Path, inject: str, *, dialogs: int) -> list[str]:
    """Run a store in a process of its own whose disk fails; return what it printed."""
    script = FAILING_DISK.format(
        tests=str(Path(__file__).parent.parent.parent), database=str(tmp_path / "test.db"), dialogs=dialogs
    )
    command = [
        need("strace"),
        "-f",
        "-qqq",
        "-o",
        os.devnull,
        "-P",
        str(tmp_path / "test.db-wal"),
        "-e",
        inject,
        sys.executable,
    ]
    done = subprocess.run(
        [*command, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


async def kept_after_restart(tmp_path: Path, dialogs: int) -> set[int]:
    store = await open_store(tmp_path / "test.db", FakeClock())
    kept = {number for number in range(dialogs) if isinstance(await store.dialogs.find(f"d-{number}"), StoredDialog)}
    await store.close()
    return kept


async def test_a_commit_whose_fsync_failed_does_not_come_back_after_a_restart(tmp_path: Path) -> None:
    SQLiteBackend(tmp_path / "test.db").migrate()

    said = on_a_failing_disk(tmp_path, "inject=fdatasync,fsync:error=EIO:when=3", dialogs=2)

    # Nothing is committed after it, or the next commit would overwrite what could come back.
    assert said == ["stored 0", "failed 1 True", "ready"]
    assert await kept_after_restart(tmp_path, 2) == {0}


async def test_a_disk_that_goes_on_failing_makes_the_outcome_unknown_and_the_store_unready(tmp_path: Path) -> None:
    SQLiteBackend(tmp_path / "test.db").migrate()

    said = on_a_failing_disk(tmp_path, "inject=fdatasync,fsync:error=EIO:when=3+", dialogs=5)

    assert [line.split()[0] for line in said] == ["stored", "unknown", "failed", "failed", "failed", "not"]
    assert await kept_after_restart(tmp_path, 5) >= {0}


async def test_a_full_disk_refuses_and_what_was_acked_is_kept(tmp_path: Path) -> None:
    SQLiteBackend(tmp_path / "test.db").migrate()

    said = on_a_failing_disk(tmp_path, "inject=pwrite64:error=ENOSPC:when=60..80", dialogs=12)

    stored = {int(line.split()[1]) for line in said if line.startswith("stored")}
    assert any(line.startswith(("failed", "unknown")) for line in said)
    assert stored
    assert await kept_after_restart(tmp_path, 12) >= stored


REPORT = "eyJhbGciOiJFZERTQSJ9.eyJkaWFsb2dzIjpbImQtMSIsImQtMiJdfQ.c2lnbmF0dXJl"
"""Its claims are {"dialogs": ["d-1", "d-2"]}."""


def migrate_to(db: sqlite3.Connection, number: int) -> None:
    """Bring a new database to the schema of an earlier version."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(schema, "migrations", lambda: migrations()[:number])
        migrate(db)


def test_the_dialogs_of_earlier_erasure_requests_are_read_out_of_their_reports(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "test.db")) as db:
        migrate_to(db, 10)
        for name, report in (("r-1", REPORT), ("r-2", None)):
            values = (name, report)
            db.execute(
                "INSERT INTO privacy_requests VALUES (?, 'erasure', 'pending', 'o', 1, 2, 2, 3, ?, NULL, 1)", values
            )

        migrate(db)

        rows = db.execute("SELECT request, dialog_id FROM privacy_request_dialogs").fetchall()
    assert rows == [("r-1", "d-1"), ("r-1", "d-2")]


def test_what_an_earlier_version_logged_for_ever_is_forgotten_but_for_what_tells_of_no_customer(tmp_path: Path) -> None:
    wanted = ["q", "role,q", "customer", "since,customer,until", "dialog_id", "bot", "language", "role,since", "who"]
    with closing(connect(tmp_path / "test.db")) as db:
        migrate_to(db, 12)
        for number, filters in enumerate(wanted, 1):
            db.execute(
                "INSERT INTO access_log VALUES (?, 0, '', '', '', NULL, NULL, ?, NULL, 0, NULL, zeroblob(32))",
                (number, filters),
            )
            db.execute("INSERT INTO access_values VALUES (?, 'cus_', x'00')", (number,))

        migrate(db)

        kept = db.execute("SELECT filters FROM access_log JOIN access_values USING (number)").fetchall()
        assert db.execute("SELECT count(*) FROM access_log").fetchone() == (len(wanted),)
    assert kept == [("role,since",), ("who",)]


def test_labels_that_an_earlier_version_left_in_counters_are_forgotten(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "test.db")) as db:
        migrate_to(db, 13)
        db.execute(
            "INSERT INTO dialog_counts VALUES ('d', 'en', 'shop', '[]', 1, 2, 2), ('d', 'x-jane', '', '[]', 1, 0, 0)"
        )
        db.execute("INSERT INTO message_counts VALUES ('d', 'x-jane', '', 'bot', '[]', 1, 0)")
        db.execute(
            "INSERT INTO outcome_counts VALUES"
            " ('d', 'shop', 1, 2, 3), ('d', 'jane', 0, 1, 0), ('d', 'john', 0, 1, 1),"
            " ('e', 'john', 0, 0, 1), ('e', '', 0, 1, 1)"
        )

        migrate(db)

        counts = [db.execute(f"SELECT * FROM {name}").fetchall() for name in ("dialog_counts", "message_counts")]
        outcomes = db.execute("SELECT * FROM outcome_counts ORDER BY day, bot").fetchall()
    assert counts == [[("d", "en", "shop", "[]", 1, 2, 2)], []]
    assert outcomes == [("d", "", 0, 2, 1), ("d", "shop", 1, 2, 3), ("e", "", 0, 1, 2)]


def small(path: Path) -> sqlite3.Connection:
    """Open a database for which there are a hundred kilobytes."""
    db = connect(path)
    db.execute("PRAGMA max_page_count = 25")
    return db


def test_a_start_that_a_full_disk_ends_says_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "connect", small)

    with pytest.raises(BadDatabase, match=r"\(database or disk is full\); free some space on its disk"):
        SQLiteBackend(tmp_path / "kept.db").migrate()


@pytest.mark.parametrize("size", [5_000, 100_000])
def test_a_database_that_was_cut_off_is_told_to_be_damaged(tmp_path: Path, size: int) -> None:
    SQLiteBackend(tmp_path / "kept.db").migrate()
    os.truncate(tmp_path / "kept.db", size)

    with pytest.raises(
        BadDatabase, match=r"is damaged \(SQLITE_CORRUPT\); move it away, and restore the newest backup"
    ):
        SQLiteBackend(tmp_path / "kept.db").migrate()


async def test_a_move_that_a_full_disk_ends_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SQLiteBackend(tmp_path / "kept.db").migrate()
    monkeypatch.setattr(tables, "connect", small)
    moved = tables.SQLiteTables(tmp_path / "kept.db")

    with pytest.raises(BadDatabase, match="SQLITE_FULL"):
        async with moved.exclusively():
            await moved.insert("facts", ("name", "value"), [("a fact", bytes(1_000_000))])

    await moved.close()


async def test_an_erased_filter_value_is_in_no_file(store: SQLiteStore, tmp_path: Path) -> None:
    access_log = AccessLog(store.access_log, Chain(b"c" * 32), Commitments(b"v" * 32, EpochSeals(VAULT)), FakeClock())
    await store.dialogs.keep(candidate("d-1"))
    for number in range(200):
        wanted = {"q": f"word {number}"} | ({"customer": PSEUDONYMS.of("c-1")} if number % 2 else {})
        await access_log.write(OPERATOR, "messages.read", wanted=wanted)
    wrapped = [
        logged.sealed[:WRAPPED_BYTES] for logged in await store.access_log.searches(["q"], 0, 200) if logged.sealed
    ]

    await store.access_log.erase_values_of(range(1, 200, 2))
    await store.dialogs.erase("d-1", "requested")

    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert len(wrapped) == 200
    assert [key for key in wrapped if key in files] == []
    assert PSEUDONYMS.of("c-1").encode() not in files


def test_a_statement_may_hold_semicolons_and_comments_are_left_out() -> None:
    sql = """-- a; comment
CREATE TABLE a (b TEXT); -- another
CREATE TRIGGER t BEFORE DELETE ON a BEGIN
    SELECT 1; SELECT 2;
END;
"""
    first, second = statements(sql)

    assert first == "CREATE TABLE a (b TEXT);"
    assert second.startswith("CREATE TRIGGER t")
    assert second.endswith("END;")
    with pytest.raises(ValueError, match="no semicolon"):
        list(statements("CREATE TABLE a (b TEXT)"))
