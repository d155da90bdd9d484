"""Pages of an SQLite store: what each filter finds, in which order, from which index, and at what cost."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pytest

from consentful_server.archive.query import Filter, Horizon, Order, Position, Selection
from consentful_server.archive.store import MessageHead, SealedDialog
from consentful_server.clock import from_micros, to_micros
from consentful_server.keys.vault import SHREDDED
from consentful_server.stores.sqlite import dialog_rows, kinds, pages
from consentful_server.stores.sqlite.connection import connect, sqlite3
from consentful_server.stores.sqlite.migrations import migrate, migrations, statements
from sealed import PSEUDONYMS, START, candidate

_T0: Final = to_micros(START)
_MINUTE: Final = 60_000_000
_SCOPE: Final = ("research", "other")
_BLOCK: Final = 100
"""Fewer dialogs than the small store has."""


class Row(NamedTuple):
    """A message as the model knows it."""

    received_at: int
    dialog: int
    seq: int
    role: str
    language: str | None


class Stored(NamedTuple):
    """A dialog as the model knows it."""

    number: int
    sealed: SealedDialog
    rows: list[Row]


def dialog(number: int, chance: random.Random) -> SealedDialog:
    """Return a dialog whose bot, purposes, roles, languages, customer and times vary; many times are equal."""
    at = _T0 + number * _MINUTE
    languages, roles = ("en", "en", "en-GB", "de", None), ("customer", "bot", "bot", "agent")
    heads = tuple(
        MessageHead(chance.choice(roles), chance.choice(languages), at + seq // 3 * _MINUTE)
        for seq in range(chance.randint(1, 6))
    )
    sealed = candidate("d-1", bot=chance.choice(["b-1", "b-2", ""])).sealed
    purposes = chance.choice([("improve",), ("improve", "research"), ("research",)])
    customer = PSEUDONYMS.of(f"c-{chance.randint(1, 5)}")
    record = msgspec.structs.replace(sealed.record, dialog_id=f"d-{number}", purposes=purposes, customer=customer)
    record = msgspec.structs.replace(record, bot=record.bot or None)
    code = number.to_bytes(32, "big")
    return msgspec.structs.replace(
        sealed,
        record=record,
        heads=heads,
        messages=len(heads),
        received_at=heads[-1].received_at,
        opened_at=at,
        withdrawal_hash=code,
    )


def insert(db: sqlite3.Connection, sealed: SealedDialog) -> Stored:
    stored = dialog_rows.insert(db, sealed, sealed.received_at)
    rows = [
        Row(head.received_at, stored.number, seq, head.role, head.language) for seq, head in enumerate(sealed.heads, 1)
    ]
    return Stored(stored.number, sealed, rows)


def filled(path: Path, dialogs: int, seed: int = 1) -> tuple[sqlite3.Connection, list[Stored]]:
    db, chance = connect(path), random.Random(seed)
    migrate(db)
    db.execute("BEGIN")
    stored = [insert(db, dialog(number, chance)) for number in range(1, dialogs + 1)]
    for gone in stored[3::10]:  # some are erased: what is left behind must not be found
        dialog_rows.shred(db, gone.number, SHREDDED)
    db.execute("COMMIT")
    return db, [it for it in stored if it not in stored[3::10]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sqlite3.Connection, list[Stored]]]:
    db, stored = filled(tmp_path_factory.mktemp("pages") / "d.db", 120)
    with closing(db):
        yield db, stored


FILTERS: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "language": {"language": "en"},
    "role": {"role": "agent"},
    "bot": {"bot": "b-1"},
    "purpose": {"purpose": "research"},
    "customer": {"customer": PSEUDONYMS.of("c-1")},
    "dialog_id": {"dialog_id": "d-7"},
    "since": {"since": from_micros(_T0 + 80 * _MINUTE)},
    "until": {"until": from_micros(_T0 + 40 * _MINUTE)},
    "language and role": {"language": "de", "role": "agent"},
    "bot and customer": {"bot": "b-2", "customer": PSEUDONYMS.of("c-2")},
    "dialog_id and role": {"dialog_id": "d-8", "role": "bot"},
    "role and times": {
        "role": "bot",
        "since": from_micros(_T0 + 30 * _MINUTE),
        "until": from_micros(_T0 + 90 * _MINUTE),
    },
    "customer and times": {
        "customer": PSEUDONYMS.of("c-3"),
        "since": from_micros(_T0 + 30 * _MINUTE),
        "until": from_micros(_T0 + 90 * _MINUTE),
    },
    "what nothing has": {"language": "is"},
    "after everything": {"since": from_micros(_T0 + 10_000 * _MINUTE)},
    "before everything": {"until": from_micros(_T0)},
}
ORDERS: Final[tuple[Order, ...]] = ("newest", "stored")
SCOPES: Final = (None, _SCOPE)
each = pytest.mark.parametrize(
    ("wanted", "order", "scope"),
    list(product(FILTERS, ORDERS, SCOPES)),
    ids=lambda it: it if isinstance(it, str) else "one purpose" if it else "every purpose",
)


def matches(it: Stored, wanted: Filter, scope: tuple[str, ...] | None) -> bool:
    record = it.sealed.record
    return (
        wanted.customer in (None, record.customer)
        and wanted.dialog_id in (None, record.dialog_id)
        and wanted.bot in (None, record.bot)
        and (wanted.purpose is None or wanted.purpose in record.purposes)
        and (scope is None or bool({*scope} & {*record.purposes}))
    )


def has(row: Row, wanted: Filter) -> bool:
    language = row.language or ""
    return wanted.role in (None, row.role) and (
        wanted.language is None or language == wanted.language or language.startswith(f"{wanted.language}-")
    )


def within(received_at: int, wanted: Filter) -> bool:
    return (wanted.since is None or received_at >= to_micros(wanted.since)) and (
        wanted.until is None or received_at < to_micros(wanted.until)
    )


def selection(wanted: Filter, order: Order, scope: tuple[str, ...] | None, **how: Any) -> Selection:
    options: dict[str, Any] = {"limit": 7, "horizon": Horizon(10**6)} | how
    return Selection(filter=wanted, order=order, purposes=scope, **options)


def walk(read: Callable[[Position | None], list[Any]], place: Callable[[Any], Position]) -> list[Any]:
    """Return all rows, page by page."""
    rows: list[Any] = []
    after = None
    while page := read(after):
        rows += page
        after = place(page[-1])
    return rows


@each
def test_pages_of_messages_show_every_match_once_in_order(
    store: tuple[sqlite3.Connection, list[Stored]], wanted: str, order: Order, scope: tuple[str, ...] | None
) -> None:
    db, stored = store
    filtered = Filter(**FILTERS[wanted])
    expected = [
        row
        for it in stored
        if matches(it, filtered, scope)
        for row in it.rows
        if has(row, filtered) and within(row.received_at, filtered)
    ]
    expected.sort(key=lambda row: row[:3] if order == "newest" else row[1:3], reverse=order == "newest")

    found = walk(
        lambda after: pages.messages(db, selection(filtered, order, scope, after=after)), lambda row: row.position
    )

    assert [(row.dialog, row.seq, row.role, row.language) for row in found] == [row[1:] for row in expected]


@each
def test_pages_of_dialogs_show_every_match_once_in_order(
    store: tuple[sqlite3.Connection, list[Stored]], wanted: str, order: Order, scope: tuple[str, ...] | None
) -> None:
    db, stored = store
    filtered = Filter(**FILTERS[wanted])
    times = {it.number: it.sealed.received_at for it in stored}
    expected = [
        it.number
        for it in stored
        if matches(it, filtered, scope)
        and within(it.sealed.received_at, filtered)
        and any(has(row, filtered) for row in it.rows)
    ]
    expected.sort(key=lambda number: (times[number], number) if order == "newest" else number)

    found = walk(
        lambda after: pages.dialogs(db, selection(filtered, order, scope, after=after)),
        lambda number: Position(times[number], number),
    )

    assert found == (expected[::-1] if order == "newest" else expected)


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

    @pytest.mark.parametrize("after", [None, Position(_T0 + 60 * _MINUTE, 60, 2)], ids=["first", "later"])
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
        if "dialog_id" not in FILTERS[wanted]:  # a dialog has at most 10,000 messages
            assert not [step for step in plan if "FOR ORDER BY" in step], plan

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
    db, chance = connect(path), random.Random(1)
    migrate(db)
    db.execute("BEGIN")
    common = msgspec.structs.replace(dialog(0, chance).record, bot="common", purposes=("improve",))
    rare = msgspec.structs.replace(common, bot="rare", purposes=("research",), customer=PSEUDONYMS.of("rare"))
    for number in range(1, dialogs + 1):
        record = msgspec.structs.replace(rare if number <= 5 else common, dialog_id=f"d-{number}")
        role, language = ("agent", "is") if number <= 5 else ("bot", "en")
        heads = tuple(MessageHead(role, language, _T0 + number * _MINUTE + seq) for seq in range(10))
        given = msgspec.structs.replace(
            dialog(number, chance), record=record, heads=heads, messages=10, received_at=heads[-1].received_at
        )
        dialog_rows.insert(db, given, given.received_at)
    db.execute("COMMIT")
    return db


VALUES: Final[dict[str, tuple[dict[str, Any], tuple[str, ...] | None]]] = {
    "nothing": ({}, None),
    "rare role": ({"role": "agent"}, None),
    "common role": ({"role": "bot"}, None),
    "rare language": ({"language": "is"}, None),
    "common language": ({"language": "en"}, None),
    "rare bot": ({"bot": "rare"}, None),
    "common bot": ({"bot": "common"}, None),
    "rare purpose": ({"purpose": "research"}, None),
    "common purpose": ({"purpose": "improve"}, None),
    "rare credential": ({}, ("research",)),
    "common credential": ({}, ("improve",)),
    "rare customer": ({"customer": PSEUDONYMS.of("rare")}, None),
    "long ago": ({"until": from_micros(_T0 + 4 * _MINUTE)}, None),
    "never": ({"since": from_micros(_T0 + 10**6 * _MINUTE)}, None),
    "nobody": ({"role": "agent", "language": "en"}, None),
}


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
