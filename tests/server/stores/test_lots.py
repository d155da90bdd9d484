"""Lots: a sample is uniform, the same on both kinds of store, and does not move when dialogs come and go."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import closing
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from consentful_server.archive.query import Filter, Order, Position, Selection
from consentful_server.archive.store import ListedDialog
from consentful_server.stores.lots import lot
from consentful_server.stores.sqlite.connection import connect, sqlite3
from consentful_server.stores.store import Store
from consentful_server.testing import FakeClock
from kinds import KINDS
from sealed import candidate

DIALOGS = 30
SEEDS = 4000


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Store]:
    opened = await KINDS[request.param](tmp_path, FakeClock())
    for number in range(DIALOGS):
        await opened.dialogs.keep(candidate(f"d-{number}", bot="b-1" if number % 3 else "b-2"))
    yield opened
    await opened.close()


async def walk(store: Store, *, limit: int = 4, order: Order = "random", **wanted: Any) -> list[str]:
    """Return the ids of all dialogs that match, read page by page."""
    found: list[ListedDialog] = []
    after: Position | None = None
    horizon = await store.dialogs.horizon()
    while True:
        select = Selection(filter=Filter(**wanted), order=order, horizon=horizon, limit=limit, after=after)
        (rows, more), _ = await store.dialogs.list_dialogs(select, lambda rows, more: (list(rows), more))
        found += rows
        if not more:
            return [dialog.record.dialog_id for dialog in found]
        after = rows[-1].position


async def test_a_walk_shows_every_match_once_and_in_the_same_order_for_a_seed(store: Store) -> None:
    whole = await walk(store, seed=7, limit=100)

    assert sorted(whole) == sorted(f"d-{number}" for number in range(DIALOGS))
    assert await walk(store, seed=7) == whole
    assert await walk(store, seed=8) != whole
    assert await walk(store, seed=7, bot="b-2") == [it for it in whole if int(it[2:]) % 3 == 0]


async def test_what_is_erased_or_stored_moves_nothing_else(store: Store) -> None:
    before = await walk(store, seed=7)
    await store.dialogs.erase("d-11", "requested")
    await store.dialogs.keep(candidate("late"))

    after = await walk(store, seed=7)

    assert [it for it in after if it != "late"] == [it for it in before if it != "d-11"]


async def test_the_order_is_the_one_of_the_lots(store: Store, numbers: sqlite3.Connection) -> None:
    """Both kinds compute what is computed here, so a deployment that moves keeps its samples."""
    for seed in (0, 1, 2**53 - 1):
        expected = [number - 1 for number in shuffled(numbers, DIALOGS, seed)]

        assert await walk(store, seed=seed, limit=100) == [f"d-{number}" for number in expected]


@pytest.fixture
def numbers(tmp_path: Path) -> Any:
    with closing(connect(tmp_path / "numbers.db")) as db:
        yield db


def shuffled(db: sqlite3.Connection, count: int, seed: int) -> list[int]:
    numbers = "WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT ?)"
    found = db.execute(f"{numbers} SELECT value FROM n ORDER BY {lot('value', seed)}, value", (count,))
    return [row[0] for row in found]


def test_lots_are_those_of_python() -> None:
    """No product overflows: SQLite would go on with a float, silently."""
    prime = 2_147_483_579
    for number in (1, 2, prime - 1, prime, 2**40):
        with closing(sqlite3.connect(":memory:")) as db:
            (found,) = db.execute(f"SELECT {lot(str(number), 7)}").fetchone()
        assert found == eval(lot(str(number), 7))
        assert isinstance(found, int)
        assert 0 <= found < prime


def test_every_dialog_and_every_pair_is_as_likely_as_any_other(numbers: sqlite3.Connection) -> None:
    """A sample of 6 of 30, drawn 4,000 times: within four and a half standard deviations of what chance gives."""
    drawn, pairs, first = Counter[int](), Counter[tuple[int, int]](), Counter[int]()
    for seed in range(SEEDS):
        sample = shuffled(numbers, DIALOGS, seed)[:6]
        drawn.update(sample)
        first[sample[0]] += 1
        pairs.update((one, other) for one, other in pairwise(range(1, DIALOGS + 1)) if {one, other} <= {*sample})

    for counts, share in ((drawn, 6 / 30), (first, 1 / 30), (pairs, 6 / 30 * 5 / 29)):
        spread = 4.5 * sqrt(SEEDS * share * (1 - share))
        assert all(abs(count - SEEDS * share) < spread for count in counts.values())
        assert len(counts) >= DIALOGS - 1
