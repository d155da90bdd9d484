"""Pages of a PostgreSQL store: what each filter finds, in which order, and at what cost."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgspec
import pytest

from consentful_server.archive.query import Filter, Horizon, Order, Selection
from consentful_server.archive.store import MessageRow, SealedDialog
from consentful_server.keys.vault import SHREDDED
from consentful_server.stores.postgres import dialog_rows, kinds, listing, numbers
from consentful_server.stores.postgres.address import address_of
from consentful_server.stores.postgres.connection import Connection, connect
from page_model import (
    FILTERS,
    ORDERS,
    VALUES,
    Scope,
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
from postgres_server import database_of

T = TypeVar("T")
Read: TypeAlias = Callable[[Connection, Selection], Awaitable[list[Any]]]


async def messages(db: Connection, chosen: Selection) -> list[MessageRow]:
    return list((await listing.messages(db, chosen)).rows)


async def dialogs(db: Connection, chosen: Selection) -> list[int]:
    return list((await listing.dialogs(db, chosen, texts=False)).dialogs)


class Filled(NamedTuple):
    """A database with dialogs, and the event loop of its connection."""

    runner: asyncio.Runner
    db: Connection
    stored: list[Stored]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def read(self, read: Read, chosen: Selection) -> list[Any]:
        async def within() -> list[Any]:
            return await read(self.db, chosen)

        return self.run(within())


async def fill(folder: Path, dialogs: Sequence[SealedDialog]) -> tuple[Connection, list[Stored]]:
    db = await connect(address_of(await database_of(folder)), is_patient=True)
    last = await numbers.draw(db, "dialogs", len(dialogs))
    stored = [
        stored_as(it.number, given)
        for it, given in zip(await dialog_rows.insert(db, dialogs, 0, last), dialogs, strict=True)
    ]
    await db.execute("ANALYZE")
    return db, stored


def filled(folder: Path, dialogs: Sequence[SealedDialog]) -> Filled:
    runner = asyncio.Runner()
    return Filled(runner, *runner.run(fill(folder, dialogs)))


def close(filled: Filled) -> None:
    filled.run(filled.db.close())
    filled.runner.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    chance = random.Random(1)
    made = filled(tmp_path_factory.mktemp("pages"), [dialog(number, chance) for number in range(1, 121)])
    left, gone = left_of(made.stored)
    for it in gone:
        made.run(dialog_rows.shred(made.db, it.number, SHREDDED))
    yield made._replace(stored=left)
    close(made)


@each
def test_pages_of_messages_show_every_match_once_in_order(
    store: Filled, wanted: str, order: Order, scope: Scope
) -> None:
    filtered = Filter(**FILTERS[wanted])
    expected = expected_messages(store.stored, filtered, order, scope)

    found = walk(
        lambda after: store.read(messages, selection(filtered, order, scope, after=after)),
        lambda row: row.position,
    )

    assert [(row.dialog, row.seq, row.role, row.language) for row in found] == [row[1:] for row in expected]


@each_of_dialogs
def test_pages_of_dialogs_show_every_match_once_in_order(
    store: Filled, wanted: str, order: Order, scope: Scope
) -> None:
    filtered = Filter(**FILTERS[wanted])
    places = {it.number: place_of(it) for it in store.stored}
    expected = expected_dialogs(store.stored, filtered, order, scope)

    found = walk(
        lambda after: store.read(dialogs, selection(filtered, order, scope, after=after)),
        places.__getitem__,
    )

    assert found == expected


@pytest.mark.parametrize("read", [messages, dialogs])
def test_pages_stay_below_the_horizon_and_beyond_the_place_of_the_last_walk(store: Filled, read: Read) -> None:
    for wanted, order in product(FILTERS, ORDERS):
        how: dict[str, Any] = {"horizon": Horizon(60), "since": Horizon(20) if order == "stored" else None}
        chosen = msgspec.structs.replace(selection(Filter(**FILTERS[wanted]), order, None, limit=1000), **how)

        found = {getattr(row, "dialog", row) for row in store.read(read, chosen)}

        assert all((20 if order == "stored" else 0) < number <= 60 for number in found), wanted


def test_an_offset_skips_so_many_rows_also_in_a_merge(store: Filled) -> None:
    some: list[dict[str, Any]] = [{}, {"role": "bot"}, {"language": "en"}]
    for wanted in some:
        chosen = selection(Filter(**wanted), "newest", None, limit=30)

        whole = store.read(messages, chosen)
        rest = store.read(messages, msgspec.structs.replace(chosen, limit=20, offset=10))

        assert rest == whole[10:]


def test_a_filter_with_a_nul_finds_nothing(store: Filled) -> None:
    some: list[dict[str, Any]] = [{"bot": "b-1\0"}, {"customer": "\0"}, {"dialog_id": "d\0"}, {"language": "en\0"}]
    for wanted in some:
        chosen = selection(Filter(**wanted), "newest", None)

        assert store.read(messages, chosen) == store.read(dialogs, chosen) == []


def test_two_customers_with_one_key_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def same(_pseudonym: str) -> int:
        return 7

    monkeypatch.setattr(kinds, "customer_key", same)
    chance = random.Random(1)
    made = filled(tmp_path, [dialog(number, chance) for number in range(1, 21)])
    for it in made.stored:
        customer = it.sealed.record.customer
        found = made.read(messages, selection(Filter(customer=customer), "newest", None, limit=1000))

        mine = {other.number for other in made.stored if other.sealed.record.customer == customer}
        assert {row.dialog for row in found} == mine
    close(made)


def test_no_label_outlives_the_last_dialog_that_had_it(tmp_path: Path) -> None:
    chance = random.Random(1)
    made = filled(tmp_path, [dialog(number, chance) for number in range(1, 6)])

    async def count(table: str) -> int:
        return await made.db.fetchval(f"SELECT count(*) FROM {table}")

    *others, last = made.stored
    for it in others:
        made.run(dialog_rows.shred(made.db, it.number, SHREDDED))
    assert made.run(count("kinds")) == len({(row.role, row.language) for row in last.rows})
    made.run(dialog_rows.shred(made.db, last.number, SHREDDED))
    assert [made.run(count(table)) for table in ("kinds", "dialog_kinds", "messages")] == [0, 0, 0]
    close(made)


def blocks_of(plan: dict[str, Any]) -> int:
    """Return how many blocks of tables and indexes a statement touched: a cost that is the same on each machine."""
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


class Explained:
    """A connection whose statements are run by EXPLAIN as well; `blocks` is the cost of all of them."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self.blocks = 0

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        explained = await self._db.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *values)
        self.blocks += blocks_of(json.loads(explained)[0]["Plan"])
        return await self._db.fetch(sql, *values)

    async def fetchval(self, sql: str, *values: Any) -> Any:
        return (await self.fetch(sql, *values))[0][0]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Filled, Filled]]:
    """A store, and one that is five times as large."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kinds, "BLOCK", 100)
        made = [filled(tmp_path_factory.mktemp("size"), list(alike(dialogs))) for dialogs in (1000, 5000)]
    for it in made:  # the smaller one's tables are read faster as a whole, which would not do for a comparison
        it.run(it.db.execute("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"))
    yield made[0], made[1]
    for it in made:
        close(it)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("read", [messages, dialogs])
@pytest.mark.parametrize("name", VALUES)
def test_the_cost_of_a_page_does_not_grow_with_the_store(
    both: tuple[Filled, Filled], name: str, read: Read, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "BLOCK", 100)
    values, scope = VALUES[name]
    chosen = selection(Filter(**values), order, scope, limit=50)

    async def cost(db: Connection) -> int:
        explained: Any = Explained(db)
        await read(explained, chosen)
        return explained.blocks

    small, large = (it.run(cost(it.db)) for it in both)

    # The larger one's indexes have a level more, and each row of a page is looked up from their root.
    assert large <= small * 1.5 + 60
