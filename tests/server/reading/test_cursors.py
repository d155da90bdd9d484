"""Cursors: opaque, of one query only, and never a cause of a crash."""

import base64
import hmac
import traceback
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.archive.query import Filter, Horizon, Order, Position
from consentful_server.errors import BadRequest, Restored
from consentful_server.reading.cursors import Cursors
from consentful_server.reading.walk import Walk

CURSORS = Cursors(b"k" * 32)
WANTED = Filter(language="en", since=datetime(2026, 1, 1, tzinfo=UTC))
walks = st.builds(
    Walk,
    horizon=st.integers(0, 2**62),
    since=st.none() | st.integers(0, 2**62),
    after=st.none()
    | st.builds(Position, received_at=st.integers(0, 2**62), dialog=st.integers(0, 2**62), seq=st.integers(0, 2**31)),
)


@given(walks, st.sampled_from(["newest", "stored"]))
def test_a_cursor_leads_back_to_where_it_was_made(walk: Walk, order: Order) -> None:
    cursor = CURSORS.write("messages", order, WANTED, None, walk)

    assert CURSORS.read(cursor, "messages", order, WANTED, None) == walk
    assert len(cursor) < 120


@pytest.mark.parametrize(
    ("kind", "order", "wanted", "scope", "key"),
    [
        ("dialogs", "newest", WANTED, None, b"k"),
        ("messages", "stored", WANTED, None, b"k"),
        ("messages", "newest", msgspec.structs.replace(WANTED, language="de"), None, b"k"),
        ("messages", "newest", WANTED, ("research",), b"k"),
        ("messages", "newest", WANTED, None, b"x"),
    ],
    ids=["another list", "another order", "another filter", "another credential's purposes", "another server's key"],
)
def test_a_cursor_of_another_query_is_refused(
    kind: str, order: Order, wanted: Filter, scope: tuple[str, ...] | None, key: bytes
) -> None:
    cursor = CURSORS.write("messages", "newest", WANTED, None, Walk(Horizon(9), Position(1, 2, 3)))

    with pytest.raises(BadRequest, match="cursor"):
        Cursors(key * 32).read(cursor, kind, order, wanted, scope)  # pyright: ignore[reportArgumentType]


@given(st.text(max_size=100) | st.binary(max_size=80).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_a_made_up_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest, match="cursor"):
        CURSORS.read(cursor, "messages", "newest", WANTED, None)


@given(walks, st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_cursor_is_refused(walk: Walk, place: int, change: int) -> None:
    cursor = CURSORS.write("messages", "newest", WANTED, None, walk)
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[place % len(raw)] ^= change

    with pytest.raises(BadRequest, match="cursor"):
        CURSORS.read(base64.urlsafe_b64encode(raw).decode().rstrip("="), "messages", "newest", WANTED, None)


def test_a_cursor_and_a_repr_hold_no_value_of_the_filter() -> None:
    wanted = Filter(q="a needle", customer="cus_someone")
    cursor = CURSORS.write("messages", "newest", wanted, None, Walk(Horizon(1), None))

    assert b"needle" not in base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert repr(wanted) == "Filter(customer, q)"


def test_what_was_refused_is_let_go_of() -> None:
    """An exception that is raised again keeps each frame that it came through, and with it what was sent."""

    def refused(cursor: str) -> BadRequest:
        with pytest.raises(BadRequest) as refusal:
            CURSORS.read(cursor, "messages", "newest", WANTED, None)
        return refusal.value

    first, second = refused("one"), refused("another")

    assert first is not second
    assert len(traceback.extract_tb(second.__traceback__)) == len(traceback.extract_tb(first.__traceback__))


def test_a_cursor_of_an_earlier_release_goes_on_where_it_stands() -> None:
    """Written before `since` was added. Whoever reads in commit order keeps the last cursor for the next day."""
    held = "lQGobWVzc2FnZXOmc3RvcmVkCZMBAgPRJAYWmi4No0wxvwd9gyQh"
    newest = "lQGnZGlhbG9nc6ZuZXdlc3QAwBYEIXn5mflPH7rAwfXsCCU"

    assert CURSORS.read(held, "messages", "stored", WANTED, ("a",)) == Walk(Horizon(9), Position(1, 2, 3))
    assert CURSORS.read(newest, "dialogs", "newest", Filter(), None) == Walk(Horizon(0))
    assert CURSORS.marked("AAAAAAAAAE2YOevTbJkAHbybnkukut5a", "access log", ["a", 1]) == 77


def test_a_cursor_of_a_later_version_is_refused() -> None:
    place = msgspec.msgpack.encode([2, "messages", "stored", 9, None, "more"])
    mac = hmac.digest(b"k" * 32, msgspec.msgpack.encode([place, WANTED, None]), "sha256")[:16]

    with pytest.raises(BadRequest, match="cursor"):
        CURSORS.read(base64.urlsafe_b64encode(place + mac).decode(), "messages", "stored", WANTED, None)


@pytest.mark.parametrize("stray", ["\n", " ", "!"])
def test_a_cursor_with_a_stray_character_is_refused(stray: str) -> None:
    cursor, mark = CURSORS.write("messages", "newest", WANTED, None, Walk(Horizon(9))), CURSORS.mark("log", [], 7)

    with pytest.raises(BadRequest, match="cursor"):
        CURSORS.read(cursor[:8] + stray + cursor[8:], "messages", "newest", WANTED, None)
    with pytest.raises(BadRequest, match="cursor"):
        CURSORS.marked(mark[:8] + stray + mark[8:], "log", [])


class TestMarks:
    @given(st.integers(0, 2**64 - 1))
    def test_a_mark_leads_back_to_its_number(self, place: int) -> None:
        cursor = CURSORS.mark("access log", {"who": "ann"}, place)

        assert CURSORS.marked(cursor, "access log", {"who": "ann"}) == place
        assert "=" not in cursor

    @pytest.mark.parametrize(
        ("kind", "query", "key"),
        [("erasures", ["ann"], b"k"), ("access log", ["bob"], b"k"), ("access log", ["ann"], b"x")],
        ids=["another list", "another query", "another server's key"],
    )
    def test_a_mark_of_another_query_is_refused(self, kind: str, query: list[str], key: bytes) -> None:
        cursor = CURSORS.mark("access log", ["ann"], 7)

        with pytest.raises(BadRequest, match="cursor"):
            Cursors(key * 32).marked(cursor, kind, query)

    @given(st.integers(0, 23), st.integers(1, 255))
    def test_a_changed_mark_is_refused(self, place: int, change: int) -> None:
        raw = bytearray(base64.urlsafe_b64decode(CURSORS.mark("access log", [], 7)))
        raw[place] ^= change

        with pytest.raises(BadRequest, match="cursor"):
            CURSORS.marked(base64.urlsafe_b64encode(raw).decode(), "access log", [])


class TestWalk:
    @pytest.mark.parametrize("after", [None, Position(5, 6, 7)])
    def test_it_asks_for_the_rows_that_a_page_shows(self, after: Position | None) -> None:
        walk = Walk(Horizon(9), after, Horizon(4))

        selection = walk.select(WANTED, ("research",), "stored", 100)

        assert (selection.limit, selection.horizon, selection.after, selection.since) == (100, 9, after, 4)
        assert (selection.filter, selection.order, selection.purposes) == (WANTED, "stored", ("research",))

    @pytest.mark.parametrize("order", ["newest", "stored"])
    def test_it_goes_on_after_the_last_row(self, order: Order) -> None:
        walk = Walk(Horizon(9), Position(1, 1), Horizon(4))

        assert walk.past(order, Position(5, 6, 7)) == Walk(Horizon(9), Position(5, 6, 7), Horizon(4))

    def test_it_is_below_the_horizon_of_its_first_page(self) -> None:
        assert Walk(None, Position(1, 2, 3), Horizon(4)).below(Horizon(9)) == Walk(
            Horizon(9), Position(1, 2, 3), Horizon(4)
        )

    def test_at_its_end_the_newest_stand_where_they_stood(self) -> None:
        walk = Walk(Horizon(9), Position(1, 2, 3))

        assert walk.past("newest", None) is walk

    def test_at_its_end_the_order_of_commit_goes_on_from_its_horizon(self) -> None:
        assert Walk(Horizon(9), Position(1, 4, 2)).past("stored", None) == Walk(Horizon(9), since=Horizon(9))


class TestGenerations:
    """Each restore of a backup begins one: what a cursor of an earlier one names may be lost."""

    @pytest.mark.parametrize(("before", "after"), [(b"", b"g" * 8), (b"g" * 8, b"h" * 8), (b"g" * 8, b"")])
    def test_a_cursor_of_another_generation_is_refused_with_what_to_do(self, before: bytes, after: bytes) -> None:
        earlier, later = Cursors(b"k" * 32, before), Cursors(b"k" * 32, after)
        cursor, mark = earlier.write("messages", "stored", WANTED, None, Walk(Horizon(9))), earlier.mark("log", [], 7)

        with pytest.raises(Restored, match="start again without a cursor"):
            later.read(cursor, "messages", "stored", WANTED, None)
        with pytest.raises(Restored, match="start again without a cursor"):
            later.marked(mark, "log", [])

    @given(walks, st.integers(0, 2**64 - 1))
    def test_a_cursor_of_the_same_generation_leads_back(self, walk: Walk, place: int) -> None:
        cursors = Cursors(b"k" * 32, b"g" * 8)
        cursor = cursors.write("messages", "stored", WANTED, None, walk)

        assert cursors.read(cursor, "messages", "stored", WANTED, None) == walk
        assert cursors.marked(cursors.mark("log", [], place), "log", []) == place
        assert len(cursor) < 120
