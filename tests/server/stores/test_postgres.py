"""What only the PostgreSQL store has: its address and its server, lost connections, many writers, dead row versions."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from consentful_server.archive.query import Filter, Horizon, Selection
from consentful_server.archive.store import Candidate, ListedDialog, MessageRow, StoredDialog, Tombstone
from consentful_server.auth.store import Credential
from consentful_server.errors import BadDatabase, BadSetting, Conflict, Damaged, OutcomeUnknown, StorageFailed
from consentful_server.keys.store import Rewrapped
from consentful_server.keys.vault import SHREDDED, epoch_of
from consentful_server.stores.open import backend_of
from consentful_server.stores.postgres import writer as writing
from consentful_server.stores.postgres.address import address_of
from consentful_server.stores.postgres.connection import Connection, ServerFacts, wrong_with
from consentful_server.stores.postgres.store import PostgresStore
from consentful_server.stores.postgres.writer import Writer
from consentful_server.stores.sqlite.backend import SQLiteBackend
from consentful_server.testing import FakeClock
from postgres_server import database_of, named_in, server
from sealed import START, candidate, opened_ledger


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START + timedelta(days=1))


async def open_store(folder: Path, clock: FakeClock, more: str = "") -> PostgresStore:
    ledger = opened_ledger(folder)
    try:
        opened = await backend_of(await database_of(folder) + more, folder).open(clock, ledger)
    except BaseException:
        ledger.close()  # a store that opens closes it
        raise
    assert isinstance(opened, PostgresStore)
    return opened


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncGenerator[PostgresStore]:
    opened = await open_store(tmp_path, clock)
    yield opened
    await opened.close()


def writer_of(store: PostgresStore) -> Writer:
    return store._database.writer  # pyright: ignore[reportPrivateUsage]


def db_of(store: PostgresStore) -> Connection:
    """The connection that writes."""
    return writer_of(store)._connection  # pyright: ignore[reportPrivateUsage]


async def sql(folder: Path, statement: str) -> Any:
    """Run a statement past the store."""
    return await server().run(statement, named_in(await database_of(folder)))


def everything(horizon: Horizon | None = None, since: Horizon | None = None) -> Selection:
    return Selection(filter=Filter(), order="stored", horizon=horizon, limit=1000, since=since)


def ids(rows: Sequence[ListedDialog], _more: bool) -> list[str]:
    return [row.record.dialog_id for row in rows]


def places(rows: Sequence[MessageRow], *_: object) -> list[tuple[int, int]]:
    return [(row.dialog, row.seq) for row in rows]


class TestAddress:
    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("postgresql://ann:secret@db.example:5433/kept", "postgresql://ann@db.example:5433/kept"),
            ("postgres://ann@db.example/kept?password=secret&sslmode=require", "postgres://ann@db.example/kept"),
            ("postgresql://ann:s%40cret@/kept?host=/run/postgresql", "postgresql://ann@/kept?host=/run/postgresql"),
            (
                "postgresql://a:secret@one.example,two.example:5433/kept",
                "postgresql://a@one.example,two.example:5433/kept",
            ),
            ("postgresql://db.example/kept", "postgresql://db.example/kept"),
        ],
    )
    def test_its_name_has_no_password(self, url: str, name: str) -> None:
        assert address_of(url).name == name
        assert "cret" not in repr(address_of(url))

    @pytest.mark.parametrize(
        "url", ["postgresql://ann:secret@db.example:port/kept", "postgresql://ann:secret@[::1/kept"]
    )
    def test_a_malformed_url_is_refused_without_showing_it(self, url: str, tmp_path: Path) -> None:
        with pytest.raises(BadSetting) as refused:
            backend_of(url, tmp_path)
        assert "secret" not in str(refused.value)

    async def test_a_server_that_cannot_be_reached_is_named_without_the_password(self, tmp_path: Path) -> None:
        with pytest.raises(BadDatabase, match=r"postgresql://ann@127\.0\.0\.1:1/kept cannot be reached") as refused:
            backend_of("postgresql://ann:secret@127.0.0.1:1/kept", tmp_path).exists()
        assert "secret" not in str(refused.value)


GOOD = ServerFacts(150_000, False, "UTF8", "on", "on", "on", "off", "1min")


class TestServer:
    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"version": 140_011}, "PostgreSQL 14"),
            ({"is_replica": True}, "replica"),
            ({"encoding": "SQL_ASCII"}, "SQL_ASCII"),
            ({"fsync": "off"}, "fsync = on"),
            ({"full_page_writes": "off"}, "full_page_writes = on"),
            ({"synchronous_commit": "off"}, "set it to on"),
            ({"read_only": "on"}, "default_transaction_read_only = off"),
            ({"idle_timeout": "0"}, "connect to PostgreSQL directly"),
        ],
        ids=str,
    )
    def test_one_that_must_not_be_trusted_is_told_why(self, change: dict[str, Any], says: str) -> None:
        (what,) = wrong_with(GOOD._replace(**change))

        assert says in what

    @pytest.mark.parametrize("commit", ["on", "local", "remote_write", "remote_apply"])
    def test_one_that_writes_before_it_answers_is_trusted(self, commit: str) -> None:
        assert list(wrong_with(GOOD._replace(synchronous_commit=commit))) == []

    async def test_a_start_asks_the_server(self, tmp_path: Path, clock: FakeClock) -> None:
        with pytest.raises(BadDatabase, match="synchronous_commit off"):
            await open_store(tmp_path, clock, "&synchronous_commit=off")

    async def test_a_start_sees_that_its_time_outs_do_not_hold(self, tmp_path: Path, clock: FakeClock) -> None:
        with pytest.raises(BadDatabase, match="pooler"):
            await open_store(tmp_path, clock, "&idle_in_transaction_session_timeout=0")

    async def test_a_database_that_does_not_exist_is_no_store_and_says_what_to_do(self, tmp_path: Path) -> None:
        backend = backend_of(server().url("nowhere"), tmp_path)

        assert not backend.exists()
        with pytest.raises(BadDatabase, match="createdb"):
            backend.migrate()

    async def test_a_user_that_may_not_create_tables_is_told(self, tmp_path: Path) -> None:
        await server().run("DROP ROLE IF EXISTS reader")
        await server().run("CREATE ROLE reader LOGIN")
        await server().run("CREATE DATABASE empty_of_tables")

        with pytest.raises(BadDatabase, match="grant CREATE"):
            backend_of(server().url("empty_of_tables", "reader"), tmp_path).migrate()

    async def test_two_processes_that_start_at_once_migrate_once(self, tmp_path: Path) -> None:
        await server().run("CREATE DATABASE started_twice")
        backend = backend_of(server().url("started_twice"), tmp_path)

        steps = await asyncio.gather(*(asyncio.to_thread(backend.migrate) for _ in range(4)))

        assert sorted(len(some) for some in steps)[:3] == [0, 0, 0]
        assert backend.exists()

    async def test_a_newer_schema_is_refused(self, store: PostgresStore, tmp_path: Path, clock: FakeClock) -> None:
        await sql(tmp_path, "INSERT INTO schema_migrations (number, name) VALUES (999, 'later')")

        with pytest.raises(BadDatabase, match="has schema 999"):
            await open_store(tmp_path, clock)


class TestManyWriters:
    async def test_a_reader_that_walks_while_two_stores_write_skips_nothing(
        self, store: PostgresStore, tmp_path: Path, clock: FakeClock
    ) -> None:
        other = await open_store(tmp_path, clock)
        every = 60

        async def write(writer: PostgresStore, name: str) -> None:
            for number in range(0, every, 5):  # in batches of different sizes, so that the two do not take turns
                await asyncio.gather(
                    *(writer.dialogs.keep(candidate(f"{name}-{number + it}", ("Hi",))) for it in range(5))
                )

        async def walk() -> list[str]:
            found: list[str] = []
            since = Horizon(0)
            while len(found) < 2 * every:
                some, since = await store.dialogs.list_dialogs(everything(since=since), ids)
                found += some
            return found

        async with asyncio.timeout(60):
            found, *_ = await asyncio.gather(walk(), write(store, "a"), write(other, "b"))
        await other.close()

        assert len(set(found)) == len(found) == 2 * every
        for name in ("a", "b"):  # each store's own batches come in their order
            mine = [int(it.partition("-")[2]) // 5 for it in found if it.startswith(name)]
            assert mine == sorted(mine)

    async def test_one_dialog_stored_by_two_stores_at_once_is_stored_once(
        self, store: PostgresStore, tmp_path: Path, clock: FakeClock
    ) -> None:
        other = await open_store(tmp_path, clock)

        kept = await asyncio.gather(*(it.dialogs.keep(candidate("d-1")) for it in (store, other) for _ in range(5)))
        await other.close()

        assert len({dialog.wrapped for dialog in kept}) == 1

    async def test_who_cannot_get_the_lock_refuses_and_goes_on_later(
        self, store: PostgresStore, tmp_path: Path, clock: FakeClock
    ) -> None:
        hurried = await open_store(tmp_path, clock, "&lock_timeout=50")
        db = await server().connect(named_in(await database_of(tmp_path)))
        await db.execute(f"BEGIN; {writing.LOCK}")

        with pytest.raises(StorageFailed):
            await hurried.dialogs.keep(candidate("d-1"))
        await db.execute("ROLLBACK")  # closing alone returns before the server has let go of the lock
        await db.close()

        assert (await hurried.dialogs.keep(candidate("d-1"))).messages == 2
        await hurried.close()

    async def test_numbers_go_on_after_those_that_the_ledger_knows(self, tmp_path: Path, clock: FakeClock) -> None:
        ledger = opened_ledger(tmp_path)
        ledger.numbered = 5_000
        opened = await backend_of(await database_of(tmp_path), tmp_path).open(clock, ledger)

        kept = [await opened.dialogs.keep(candidate(f"d-{number}")) for number in range(2)]
        await opened.close()

        assert [dialog.number for dialog in kept] == [5_001, 5_002]


class Badly:
    """A candidate whose dialog cannot be sealed."""

    mark = b""

    def __init__(self, given: Candidate, error: Exception) -> None:
        self.sealed = given.sealed
        self._error = error

    def wrapped_since(self, epoch: int) -> bytes:
        raise self._error

    def reconcile(self, stored: StoredDialog) -> StoredDialog:
        raise Conflict


class TestBatches:
    @pytest.mark.parametrize(
        ("error", "seen"), [(ValueError("bad"), StorageFailed), (Damaged("d-9"), Damaged)], ids=["error", "refusal"]
    )
    async def test_a_dialog_that_cannot_be_sealed_fails_alone(
        self, store: PostgresStore, error: Exception, seen: type[Exception]
    ) -> None:
        some: list[Candidate] = [candidate("d-1"), Badly(candidate("d-9"), error), candidate("d-2")]

        outcomes = await asyncio.gather(*(store.dialogs.keep(it) for it in some), return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [StoredDialog, seen, StoredDialog]

    async def test_a_statement_that_fails_takes_no_neighbour_along(self, store: PostgresStore) -> None:
        bad = Credential(id="k", name="\0", hash=b"", scopes=(), purposes=None, created_at=0)

        outcomes = await asyncio.gather(
            store.dialogs.keep(candidate("d-1")),
            store.credentials.add(bad),
            store.dialogs.keep(candidate("d-2")),
            return_exceptions=True,
        )

        assert [type(outcome) for outcome in outcomes] == [StoredDialog, StorageFailed, StoredDialog]
        await store.probe()

    async def test_many_dialogs_take_as_many_statements_as_one(self, store: PostgresStore) -> None:
        db: Any = writer_of(store)._connection  # pyright: ignore[reportPrivateUsage]
        counts: list[int] = []
        await store.dialogs.keep(candidate("d-0"))  # asyncpg has prepared every statement, and its kinds are known
        for many in (1, 50):
            ran: list[object] = []
            with db.query_logger(ran.append):
                await asyncio.gather(*(store.dialogs.keep(candidate(f"d-{many}-{it}")) for it in range(many)))
            counts.append(len(ran))

        assert counts[0] == counts[1] > 0


class TestLostConnections:
    async def test_a_server_that_ended_every_connection_is_reached_again(
        self, store: PostgresStore, tmp_path: Path
    ) -> None:
        await store.dialogs.keep(candidate("d-1"))
        ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid != pg_backend_pid()"
        assert await sql(tmp_path, f"{ended} AND datname = current_database()") >= 2

        found = await asyncio.gather(*(store.dialogs.find("d-1") for _ in range(10)))
        await store.dialogs.keep(candidate("d-2"))

        assert all(isinstance(it, StoredDialog) for it in found)
        assert await store.dialogs.still_stored(["d-1", "d-2"]) == ["d-1", "d-2"]

    async def test_a_connection_out_of_step_is_not_used_again(self, store: PostgresStore) -> None:
        """asyncpg says so of one that is told of the server's end between two questions."""
        used: list[int] = []

        async def ask(db: Connection) -> None:
            used.append(await db.fetchval("SELECT pg_backend_pid()"))
            if len(used) == 1:
                raise asyncpg.InternalClientError("another operation is in progress")

        await store._database._reliably(ask)  # pyright: ignore[reportPrivateUsage]

        assert used[0] != used[1]

    async def test_a_server_that_is_the_primary_no_more_is_left(self, store: PostgresStore) -> None:
        await db_of(store).execute("SET default_transaction_read_only = on")  # as after a failover behind a proxy

        await store.dialogs.keep(candidate("d-1"))

        assert await store.dialogs.still_stored(["d-1"]) == ["d-1"]

    @pytest.mark.parametrize("is_committed", [True, False])
    async def test_a_commit_without_an_answer_is_looked_up(self, store: PostgresStore, is_committed: bool) -> None:
        await store.dialogs.keep(candidate("d-0"))
        lose_answer(store, is_committed=is_committed)

        (outcome,) = await asyncio.gather(store.dialogs.keep(candidate("d-1")), return_exceptions=True)

        assert isinstance(outcome, StoredDialog if is_committed else StorageFailed)
        assert (await store.dialogs.find("d-1") is not None) == is_committed
        await store.dialogs.keep(candidate("d-2"))

    async def test_an_outcome_that_cannot_be_looked_up_is_unknown_until_the_server_is_back(
        self, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lose_answer(store, is_committed=True)
        with monkeypatch.context() as patched:
            patched.setattr(writing, "connect", unreachable)
            patched.setattr(writing, "_LOOK_AFTER_S", (0.0, 0.0))

            with pytest.raises(OutcomeUnknown):
                await store.dialogs.keep(candidate("d-1"))
            with pytest.raises(StorageFailed):
                await store.probe()
            with pytest.raises(StorageFailed):
                await store.dialogs.keep(candidate("d-2"))

        assert writer_of(store).in_doubt
        await store.probe()
        assert not writer_of(store).in_doubt
        again = await store.dialogs.keep(candidate("d-1"))
        assert again.number == 1


class LosesAnswer:
    """A connection that breaks at its next COMMIT: after the server has done it, or before."""

    def __init__(self, db: Connection, *, is_committed: bool) -> None:
        self._db = db
        self._is_committed = is_committed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    async def execute(self, query: str, *values: Any) -> str:
        if query != "COMMIT":
            return await self._db.execute(query, *values)
        if self._is_committed:
            await self._db.execute(query)
        self._db.terminate()
        raise ConnectionResetError


def lose_answer(store: PostgresStore, *, is_committed: bool) -> None:
    writer = writer_of(store)
    breaking: Any = LosesAnswer(writer._connection, is_committed=is_committed)  # pyright: ignore[reportPrivateUsage]
    writer._connection = breaking  # pyright: ignore[reportPrivateUsage] - the writer replaces it by a new one


async def unreachable(*_: object, **__: object) -> Connection:
    raise ConnectionRefusedError


class TestErasure:
    async def test_it_is_unreadable_once_no_master_opens_an_earlier_version_of_the_key(
        self, store: PostgresStore, tmp_path: Path
    ) -> None:
        await store.epochs.begin(1, 0, {})
        kept = await store.dialogs.keep(candidate("d-1"))
        at_once = await store.dialogs.erase("d-1", "withdrawn")
        residue = await store.dialogs.residue(["d-1"])
        await store.epochs.begin(2, 1, {})
        assert await store.epochs.empty(2, 2)
        await store.epochs.end(2, 3)
        ended = await store.dialogs.erase("d-1", "withdrawn")

        assert at_once is not None
        assert ended is not None
        assert (at_once.is_unreadable, residue.earlier_copies, residue.keys, residue.rows) == (False, True, 0, 0)
        assert (ended.is_unreadable, ended.tombstone.complete) == (True, True)
        assert (await store.dialogs.residue(["d-1"])).is_empty
        assert await sql(tmp_path, f"SELECT wrapped FROM dialog_keys WHERE dialog = {kept.number}") == SHREDDED

    async def test_an_epoch_does_not_end_while_a_reader_has_keys_of_it(self, store: PostgresStore) -> None:
        await store.epochs.begin(1, 0, {})
        kept = await store.dialogs.keep(candidate("d-1"))
        await store.epochs.begin(2, 1, {})
        reads, may_end = asyncio.Event(), asyncio.Event()

        async def read(db: Connection) -> bytes:
            wrapped = await db.fetchval("SELECT wrapped FROM dialog_keys")
            reads.set()
            await may_end.wait()
            return wrapped

        reading = asyncio.ensure_future(store._database.read(read))  # pyright: ignore[reportPrivateUsage]
        await reads.wait()
        await store.epochs.rewrap([Rewrapped(kept.number, kept.wrapped, (2).to_bytes(4, "big") + kept.wrapped[4:])])
        meanwhile = await store.epochs.empty(2, 2)
        may_end.set()

        assert epoch_of(await reading) == 1
        assert (meanwhile, await store.epochs.empty(2, 2)) == (False, True)

    async def test_a_key_that_was_erased_since_it_was_read_is_not_rewrapped(self, store: PostgresStore) -> None:
        await store.epochs.begin(1, 0, {})
        kept = await store.dialogs.keep(candidate("d-1"))
        await store.dialogs.erase("d-1", "withdrawn")

        await store.epochs.rewrap([Rewrapped(kept.number, kept.wrapped, b"\xff" * 64)])

        assert (await store.dialogs.residue(["d-1"])).keys == 0

    @pytest.mark.parametrize(
        "change", ["UPDATE access_log SET who = 'x'", "DELETE FROM access_log", "TRUNCATE access_log"]
    )
    async def test_the_access_log_only_grows(self, store: PostgresStore, tmp_path: Path, change: str) -> None:
        with pytest.raises(Exception, match="the access log only grows"):
            await sql(tmp_path, change)


class TestSnapshots:
    @pytest.mark.parametrize("source", ["sqlite", "postgres"])
    @pytest.mark.parametrize("target", ["sqlite", "postgres"])
    async def test_each_kind_of_store_restores_the_snapshots_of_each(
        self, tmp_path: Path, clock: FakeClock, source: str, target: str
    ) -> None:
        here, there = tmp_path / "here", tmp_path / "there"
        for folder in (here, there):
            folder.mkdir()
        opened = await (await backend(source, here)).open(clock, opened_ledger(here))
        kept = [await opened.dialogs.keep(candidate(f"d-{it}", bot=f"b-{it}", language="en")) for it in range(3)]
        await opened.dialogs.erase("d-2", "withdrawn")
        data, keys = tmp_path / "data.db", tmp_path / "keys.db"
        await opened.snapshot(data, keys)
        dialogs, feed, end = await opened.dialogs.list_dialogs(everything(), ids), await opened.exports.erased(0, 9), 3
        await opened.close()

        restored = await backend(target, there, is_new=True)
        restored.restore(data, keys)
        again = await restored.open(clock, opened_ledger(there))

        assert [await again.dialogs.find(f"d-{it}") for it in range(2)] == kept[:2]
        assert isinstance(await again.dialogs.find("d-2"), Tombstone)
        assert await again.dialogs.list_dialogs(everything(), ids, texts=True) == dialogs
        assert await again.exports.erased(0, 9) == feed
        wanted = Filter(customer=kept[0].record.customer, bot="b-1")
        mine = Selection(filter=wanted, order="newest", horizon=None, limit=9)
        assert (await again.dialogs.list_messages(mine, places))[0] == [(kept[1].number, 2), (kept[1].number, 1)]
        assert (await again.dialogs.keep(candidate("d-3", language="fr"))).number > end
        assert "generation" in await again.facts.all()
        await again.close()
        assert restored.in_the_way()
        with pytest.raises(FileExistsError):
            restored.restore(data, keys)

    async def test_a_restore_that_fails_leaves_nothing(self, tmp_path: Path) -> None:
        for name in ("data", "keys"):
            (tmp_path / name).write_bytes(b"neither")
        place = await backend("postgres", tmp_path, is_new=True)

        with pytest.raises(BadDatabase, match="restore another backup"):
            place.restore(tmp_path / "data", tmp_path / "keys")
        assert place.in_the_way() == []

    async def test_it_names_no_customer_without_its_keys(self, store: PostgresStore, tmp_path: Path) -> None:
        kept = await store.dialogs.keep(candidate("d-1"))
        data, keys = tmp_path / "data.db", tmp_path / "keys.db"

        await store.snapshot(data, keys)

        for secret in (kept.record.customer.encode(), kept.wrapped, kept.receipt.encode()):
            assert (secret in data.read_bytes(), secret in keys.read_bytes()) == (False, True)


async def backend(kind: str, folder: Path, *, is_new: bool = False) -> Any:
    if kind == "sqlite":
        return SQLiteBackend(folder / "d.db")
    url = await database_of(folder)
    if is_new:
        name = named_in(url)
        await server().run(f"DROP DATABASE {name}")
        await server().run(f"CREATE DATABASE {name}")
    return backend_of(url, folder)
