"""Cursors: opaque, of one query only, and never a cause of a crash."""

import base64
import traceback
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentful_server.archive.query import Filter, Horizon, Order, Position
from consentful_server.errors import BadRequest
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
    """Before `since`, the end of a walk in commit order was a position after the last dialog."""
    place = msgspec.msgpack.encode([1, "messages", "stored", 7, [0, 7, 2**31]])
    mac = CURSORS._mac([place, WANTED, None])  # pyright: ignore[reportPrivateUsage]
    cursor = base64.urlsafe_b64encode(place + mac).decode().rstrip("=")

    assert CURSORS.read(cursor, "messages", "stored", WANTED, None) == Walk(Horizon(7), Position(0, 7, 2**31))
