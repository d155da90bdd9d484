"""Pages of an SQLite store: what each filter finds, in which order, from which index, and at what cost."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from consentful_server.archive.query import BY_LENGTH, Filter, Horizon, Order, Position
from consentful_server.archive.store import SealedDialog
from consentful_server.keys.vault import SHREDDED
from consentful_server.stores.sqlite import dialog_rows, inserts, kinds, pages
from consentful_server.stores.sqlite.connection import connect, sqlite3
from consentful_server.stores.sqlite.migrations import migrate, migrations, statements
from page_model import (
    FILTERS,
    MINUTE,
    ORDERS,
    T0,
    VALUES,
    Stored,
    alike,
    dialog,
    each,
    each_of_dialogs,
    expected_dialogs,
    expected_messages,
    left_of,
    place_of,
    selection,
    stored_as,
    walk,
)

_BLOCK: Final = 100
"""Fewer dialogs than the small store has."""


def insert(db: sqlite3.Connection, sealed: SealedDialog) -> Stored:
    (stored,) = inserts.insert(db, [(sealed, sealed.received_at)])
    return stored_as(stored.number, sealed)


def filled(path: Path, dialogs: int, seed: int = 1) -> tuple[sqlite3.Connection, list[Stored]]:
    db, chance = connect(path), random.Random(seed)
    migrate(db)
    db.execute("BEGIN")
    stored = [insert(db, dialog(number, chance)) for number in range(1, dialogs + 1)]
    left, gone = left_of(stored)
    for it in gone:
        dialog_rows.shred(db, it.number, SHREDDED)
    db.execute("COMMIT")
    return db, left


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sqlite3.Connection, list[Stored]]]:
    db, stored = filled(tmp_path_factory.mktemp("pages") / "d.db", 120)
    with closing(db):
        yield db, stored


@each
def test_pages_of_messages_show_every_match_once_in_order(
    store: tuple[sqlite3.Connection, list[Stored]], wanted: str, order: Order, scope: tuple[str, ...] | None
) -> None:
    db, stored = store
    filtered = Filter(**FILTERS[wanted])
    expected = expected_messages(stored, filtered, order, scope)

    found = walk(
        lambda after: pages.messages(db, selection(filtered, order, scope, after=after)), lambda row: row.position
    )

    assert [(row.dialog, row.seq, row.role, row.language) for row in found] == [row[1:] for row in expected]


@each_of_dialogs
def test_pages_of_dialogs_show_every_match_once_in_order(
    store: tuple[sqlite3.Connection, list[Stored]], wanted: str, order: Order, scope: tuple[str, ...] | None
) -> None:
    db, stored = store
    filtered = Filter(**FILTERS[wanted])
    places = {it.number: place_of(it) for it in stored}
    expected = expected_dialogs(stored, filtered, order, scope)

    found = walk(
        lambda after: pages.dialogs(db, selection(filtered, order, scope, after=after)),
        places.__getitem__,
    )

    assert found == expected


@pytest.mark.parametrize("read", [pages.messages, pages.dialogs])
def test_pages_stay_below_the_horizon_and_beyond_the_place_of_the_last_walk(
    store: tuple[sqlite3.Connection, list[Stored]], read: Callable[..., list[Any]]
) -> None:
    db, _ = store
    for wanted, order in product(FILTERS, ORDERS):
        how: dict[str, Any] = {"horizon": Horizon(60), "since": Horizon(20) if order == "stored" else None}
        chosen = msgspec.structs.replace(selection(Filter(**FILTERS[wanted]), order, None, limit=1000), **how)

        numbers = {getattr(row, "dialog", row) for row in read(db, chosen)}

        assert all((20 if order == "stored" else 0) < number <= 60 for number in numbers), wanted


class TestPlans:
    """Every page follows an index in its own order. SQLite says so itself."""

    @staticmethod
    def plan(db: sqlite3.Connection, read: Callable[[sqlite3.Connection], object]) -> list[str]:
        """Return the plan of the last statement that this runs."""
        ran: list[str] = []
        db.set_trace_callback(ran.append)
        try:
            read(db)
        finally:
            db.set_trace_callback(None)
        return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {ran[-1]}")]

    @pytest.mark.parametrize("after", [None, Position(T0 + 60 * MINUTE, 60, 2)], ids=["first", "later"])
    @pytest.mark.parametrize("read", [pages.messages, pages.dialogs])
    @each
    def test_no_page_sorts_or_scans_a_table(
        self,
        store: tuple[sqlite3.Connection, list[Stored]],
        read: Callable[..., list[Any]],
        after: Position | None,
        wanted: str,
        order: Order,
        scope: tuple[str, ...] | None,
    ) -> None:
        chosen = selection(Filter(**FILTERS[wanted]), order, scope, after=after)

        plan = self.plan(store[0], lambda db: read(db, chosen))

        scans = [step for step in plan if step.startswith("SCAN ") and step.split()[1] in ("m", "d", "n", "o", "k")]
        assert all("INDEX" in step for step in scans), plan
        if not Filter(**FILTERS[wanted]).names_dialogs:  # a dialog has at most 10,000 messages
            assert not [step for step in plan if "FOR ORDER BY" in step], plan

    @pytest.mark.parametrize("after", [None, Position(T0 + 60 * MINUTE, 60, messages=3)], ids=["first", "later"])
    @pytest.mark.parametrize("order", BY_LENGTH)
    @pytest.mark.parametrize("wanted", ["nothing", "since", "until"])
    def test_a_page_by_length_reads_the_index_of_lengths_alone(
        self, store: tuple[sqlite3.Connection, list[Stored]], wanted: str, order: Order, after: Position | None
    ) -> None:
        chosen = selection(Filter(**FILTERS[wanted]), order, None, after=after)

        (step,) = self.plan(store[0], lambda db: pages.dialogs(db, chosen))

        assert "USING COVERING INDEX dialogs_by_length" in step

    def test_a_merge_searches_by_all_columns_of_a_place(self, store: tuple[sqlite3.Connection, list[Stored]]) -> None:
        """Messages of one batch have the same time of receipt: a search by that alone reads all of them each time."""
        chosen = selection(Filter(role="bot"), "newest", None)

        messages = self.plan(store[0], lambda db: pages.messages(db, chosen))
        dialogs = self.plan(store[0], lambda db: pages.dialogs(db, chosen))

        assert any("(received_at,dialog,seq)<(?,?,?)" in step for step in messages), messages
        assert any("(received_at,dialog)<(?,?)" in step for step in dialogs), dialogs

    def test_dialogs_of_a_page_are_found_by_their_numbers(self, store: tuple[sqlite3.Connection, list[Stored]]) -> None:
        plan = self.plan(store[0], lambda db: dialog_rows.by_numbers(db, [1, 2]))

        assert [step.split(" USING ")[0] for step in plan] == [
            "SCAN n VIRTUAL TABLE INDEX 1:",
            "SEARCH d",
            "SEARCH k",
            "SEARCH s",
        ]


class Steps:
    """Counts what SQLite's virtual machine does: a cost that does not depend on the machine."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def of(self, work: Callable[[sqlite3.Connection], object]) -> int:
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        self._db.set_progress_handler(count, 10)
        try:
            work(self._db)
        finally:
            self._db.set_progress_handler(None, 10)
        return steps * 10


def rarely(path: Path, dialogs: int) -> sqlite3.Connection:
    """Return a store in which all dialogs are alike but five, which are the oldest."""
    db = connect(path)
    migrate(db)
    db.execute("BEGIN")
    for given in alike(dialogs):
        inserts.insert(db, [(given, given.received_at)])
    db.execute("COMMIT")
    return db


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """A store, and one that is five times as large."""
    folder = tmp_path_factory.mktemp("sizes")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kinds, "_BLOCK", _BLOCK)
        small, large = rarely(folder / "small.db", 200), rarely(folder / "large.db", 1000)
    with closing(small), closing(large):
        yield small, large


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("read", [pages.messages, pages.dialogs])
@pytest.mark.parametrize("name", VALUES)
def test_the_cost_of_a_page_does_not_grow_with_the_store(
    both: tuple[sqlite3.Connection, sqlite3.Connection],
    name: str,
    read: Callable[..., list[Any]],
    order: Order,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kinds, "_BLOCK", _BLOCK)
    values, scope = VALUES[name]
    chosen = selection(Filter(**values), order, scope, limit=50)

    small, large = (Steps(db).of(lambda db: read(db, chosen)) for db in both)

    assert 0 < large <= small * 1.3 + 100


class TestKinds:
    def test_no_label_outlives_the_last_dialog_that_had_it(self, tmp_path: Path) -> None:
        with closing(connect(tmp_path / "d.db")) as db:
            migrate(db)
            chance = random.Random(1)
            stored = [insert(db, dialog(number, chance)) for number in range(1, 6)]
            for it in stored[:-1]:
                dialog_rows.shred(db, it.number, SHREDDED)

            left = db.execute("SELECT bot, purposes, role, language FROM kinds ORDER BY id").fetchall()
            record = stored[-1].sealed.record
            assert {*left} == {
                (record.bot or "", json.dumps(record.purposes), row.role, row.language or "") for row in stored[-1].rows
            }

            dialog_rows.shred(db, stored[-1].number, SHREDDED)
            for table in ("kinds", "dialog_kinds", "messages"):
                assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)

    def test_two_customers_with_one_key_are_told_apart(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def same(_pseudonym: str) -> int:
            return 7

        monkeypatch.setattr(kinds, "customer_key", same)
        db, stored = filled(tmp_path / "d.db", 20)
        with closing(db):
            for it in stored:
                wanted = Filter(customer=it.sealed.record.customer)

                found = pages.messages(db, selection(wanted, "newest", None, limit=1000))

                mine = {other.number for other in stored if other.sealed.record.customer == wanted.customer}
                assert {row.dialog for row in found} == mine

    def test_an_earlier_database_gets_the_same_rows(self, tmp_path: Path) -> None:
        """The migration computes what storing computes."""
        db, _ = filled(tmp_path / "new.db", 40)
        step = next(step for step in migrations() if step.name == "kinds")
        tables = ("messages", "dialog_kinds", "dialog_times")
        with closing(db):
            expected = self.rows(db)
            for index in ("messages_by_kind", "messages_by_customer", "dialogs_by_customer_and_receipt"):
                db.execute(f"DROP INDEX {index}")
            for column in ("kind", "customer"):
                db.execute(f"ALTER TABLE messages DROP COLUMN {column}")
            for table in ("kinds", *tables[1:]):
                db.execute(f"DROP TABLE {table}")

            for statement in statements(step.sql):
                db.execute(statement)

            assert self.rows(db) == expected

    @staticmethod
    def rows(db: sqlite3.Connection) -> list[list[Any]]:
        kind = "JOIN kinds k ON k.id = t.kind"
        return [
            db.execute(sql).fetchall()
            for sql in (
                "SELECT t.dialog, t.seq, t.customer, k.bot, k.purposes, k.role, k.language"
                f" FROM messages t {kind} ORDER BY 1, 2",
                "SELECT t.dialog, t.received_at, k.bot, k.purposes, k.role, k.language"
                f" FROM dialog_kinds t {kind} ORDER BY 1, 2, 3, 4, 5, 6",
            )
        ]
